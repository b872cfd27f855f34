# The options of the manual page are those of the table in conf_option.c, in its words: what
# --help-all prints, as POD, takes the place of the line @OPTIONS@.
# Usage: nbd-iscsi-gateway --help-all | awk -f options.awk - PAGE.pod

# A line of an option: perhaps a letter, a name, perhaps an argument; its help here or below.
NR == FNR && /^ +(-., )?--/ {
	line = $0
	letter = match(line, /^ +-.,/) ? "B<" substr(line, RLENGTH - 2, 2) ">, " : ""
	match(line, /--[^ ]*/)
	name = substr(line, RSTART, RLENGTH)
	help = substr(line, RSTART + RLENGTH)
	at = index(name, "=")
	name = at ? "B<" substr(name, 1, at - 1) ">=" substr(name, at + 1) : "B<" name ">"
	begin()
	options = options "=item " letter name "\n\n"
	if (help != "")
		explain(help)
	next
}
NR == FNR && /^                    / {
	explain($0)
	next
}
NR == FNR && /defaults\):$/ {
	end()
	options = options "=head2 " substr($0, 1, length($0) - 1) "\n\n"
	next
}
NR == FNR { next }
FNR == 1 { end() }
/^@OPTIONS@$/ { printf "%s", options; next }
{ print }

function begin() {
	if (!open)
		options = options "=over 4\n\n"
	open = 1
}
function end() {
	if (open)
		options = options "=back\n\n"
	open = 0
}
function explain(help) {
	sub(/^ +/, "", help)
	gsub(/…/, "...", help)
	options = options help "\n\n"
}
