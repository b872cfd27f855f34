/* The buffer pool: classes, alignment, reuse, accounting. */
#include "pool.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "unit.h"

#if defined(__SANITIZE_ADDRESS__)
#define UNDER_ASAN	true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_ASAN	true
#endif
#endif
#ifndef UNDER_ASAN
#define UNDER_ASAN	false
#endif

#define KEEP	(1u << 20)

static void every_length_gets_an_aligned_writable_buffer(void)
{
	struct pool *pool = pool_new(KEEP);

	for (size_t len = 1; len <= 70000; len += 1 + len / 7) {
		uint8_t *buf = pool_get(pool, len);

		CU_ASSERT_PTR_NOT_NULL_FATAL(buf);
		CU_ASSERT_EQUAL((uintptr_t)buf % (len >= 4096 ? 4096 : 64), 0);
		memset(buf, 0xa5, len);
		CU_ASSERT(pool_in_use(pool) >= len);
		pool_put(pool, buf, len);
		CU_ASSERT_EQUAL(pool_in_use(pool), 0);
	}
	pool_free(pool);
}

static void what_is_put_back_is_handed_out_again(void)
{
	struct pool *pool = pool_new(KEEP);
	void *first = pool_get(pool, 5000), *second;

	pool_put(pool, first, 5000);
	second = pool_get(pool, 8192);		/* the same class */
	CU_ASSERT(UNDER_ASAN || first == second);
	pool_put(pool, second, 8192);
	pool_free(pool);
}

static void a_reused_buffer_is_zeroed_when_asked_for(void)
{
	struct pool *pool = pool_new(KEEP);
	uint8_t *buf = pool_get(pool, 100);

	memset(buf, 0xff, 100);
	pool_put(pool, buf, 100);
	buf = pool_zalloc(pool, 100);
	for (int i = 0; i < 100; i++)
		CU_ASSERT_EQUAL(buf[i], 0);
	pool_put(pool, buf, 100);
	pool_free(pool);
}

static void buffers_in_use_never_overlap(void)
{
	struct pool *pool = pool_new(KEEP);
	uint8_t *buf[64];

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 64; i++) {
			buf[i] = pool_get(pool, 200);
			memset(buf[i], i, 200);
		}
		for (int i = 0; i < 64; i++) {
			CU_ASSERT(buf[i][0] == i && buf[i][199] == i);
			pool_put(pool, buf[i], 200);
		}
	}
	pool_free(pool);
}

static void no_more_than_the_limit_is_kept(void)
{
	struct pool *pool = pool_new(4096);
	void *a = pool_get(pool, 4096), *b = pool_get(pool, 4096), *big = pool_get(pool, KEEP);

	CU_ASSERT_EQUAL(pool_in_use(pool), 2 * 4096 + KEEP);
	pool_put(pool, a, 4096);
	pool_put(pool, b, 4096);	/* over the limit: freed, as valgrind and ASan can tell */
	pool_put(pool, big, KEEP);
	CU_ASSERT_EQUAL(pool_in_use(pool), 0);
	pool_free(pool);
}

static void putting_back_nothing_is_harmless(void)
{
	struct pool *pool = pool_new(KEEP);

	pool_put(pool, NULL, 0);
	CU_ASSERT_EQUAL(pool_in_use(pool), 0);
	pool_free(pool);
}

static const struct unit_test tests[] = {
	UNIT_TEST(every_length_gets_an_aligned_writable_buffer),
	UNIT_TEST(what_is_put_back_is_handed_out_again),
	UNIT_TEST(a_reused_buffer_is_zeroed_when_asked_for),
	UNIT_TEST(buffers_in_use_never_overlap),
	UNIT_TEST(no_more_than_the_limit_is_kept),
	UNIT_TEST(putting_back_nothing_is_harmless),
};

UNIT_MAIN("pool", tests)
