#include "account.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static uint64_t layout_number(void)
{
    return 0x6e712d736f616b00u ^ sizeof(struct account);
}

static uint64_t chunks_max(uint64_t items_max)
{
    return (items_max + CHUNK_ITEMS - 1) / CHUNK_ITEMS;
}

// The head, the chunks, the items: each fits what is behind it.
static size_t chunks_at(void)
{
    return (sizeof(struct account) + 63) / 64 * 64;
}

static size_t items_at(uint64_t items_max)
{
    return chunks_at() + chunks_max(items_max) * sizeof(struct chunk);
}

static size_t account_bytes(uint64_t items_max)
{
    return items_at(items_max) + chunks_max(items_max) * CHUNK_ITEMS * sizeof(uint32_t);
}

bool account_create(const char *path, uint64_t items_max)
{
    const uint64_t head[2] = {layout_number(), items_max};
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && ftruncate(fd, (off_t)account_bytes(items_max)) == 0 && pwrite(fd, head, sizeof(head), 0) == sizeof(head);
    if (fd >= 0) {
        close(fd);
    }
    return ok;
}

struct account *account_open(const char *path)
{
    struct stat file;
    struct account *self = NULL;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return NULL;
    }
    if (fstat(fd, &file) == 0 && file.st_size >= (off_t)sizeof(*self)) {
        self = mmap(NULL, (size_t)file.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        self = self == MAP_FAILED ? NULL : self;
    }
    close(fd);
    if (self != NULL && (self->layout != layout_number() || account_bytes(self->items_max) != (size_t)file.st_size)) {
        errno = EINVAL;
        return NULL;
    }
    return self;
}

struct chunk *account_chunk(struct account *self, uint64_t chunk)
{
    return (struct chunk *)(void *)((char *)self + chunks_at()) + chunk;
}

_Atomic uint32_t *account_item(struct account *self, uint64_t place)
{
    return (_Atomic uint32_t *)(void *)((char *)self + items_at(self->items_max)) + place;
}

uint64_t account_take_chunk(struct account *self, uint32_t run, uint64_t first)
{
    uint64_t taken = atomic_fetch_add(&self->chunks_used, 1);
    if (taken >= chunks_max(self->items_max)) {
        atomic_fetch_sub(&self->chunks_used, 1);
        return UINT64_MAX;
    }
    *account_chunk(self, taken) = (struct chunk){.first = first, .run = run, .used = 1};
    return taken * CHUNK_ITEMS;
}

uint64_t account_sent(struct account *self)
{
    uint64_t sent = 0;
    uint64_t runs = atomic_load(&self->runs_used);
    for (uint64_t i = 0; i < runs && i < RUNS_MAX; i++) {
        sent += atomic_load_explicit(&self->runs[i].sent, memory_order_relaxed);
    }
    return sent;
}

uint64_t account_got(const struct account *self)
{
    uint64_t got = 0;
    for (unsigned i = 0; i < WORKERS_MAX; i++) {
        got += *(const volatile uint64_t *)&self->workers[i].got - *(const volatile uint64_t *)&self->workers[i].again;
    }
    return got;
}
