/*
 * Stands between the daemon and the C library: makes the disk under the store, the clock and the resolver fail as the
 * test says. Preloaded into the daemon (LD_PRELOAD); the test drives it through a file of numbers, which is mapped here.
 *
 *   SOAK_CONTROL  the file of numbers, struct control
 *   SOAK_STORE    the store's file; files beside it with -wal, -shm or -journal appended belong to it
 *   SOAK_JOURNAL  if set: records every change to these files, and every sync, in a file whose name begins with this,
 *                 one for each process, so that power.rs can play a power loss
 *
 * A sync never reaches the machine's disk. It need not: the kernel keeps the writes of a killed process, and the journal
 * tells what a power loss would leave.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* The same order as enum Number in shim.rs. */
struct control {
    uint64_t write_errno;  /* writes fail with this; 0: they do not */
    uint64_t sync_errno;   /* syncs fail with this; 0: they do not */
    uint64_t per_mille;    /* how many in a thousand of them fail */
    uint64_t slow_us;      /* every step takes this much longer */
    int64_t clock_ms;      /* the wall clock is off by this much */
    uint64_t no_names;     /* if not 0, names do not resolve */
    uint64_t steps;        /* the number of steps so far: writes, syncs and truncations */
    uint64_t fail_step;    /* the number of the step that fails; 0: none */
    uint64_t fail_errno;   /* the error with which it fails */
    uint64_t failed;       /* how many calls were made to fail */
    uint64_t syncs;        /* the number of syncs so far */
    uint64_t fail_sync;    /* the number of the sync that fails with fail_errno; 0: none */
    int64_t haste;         /* the wall clock gains this many seconds in each second */
    uint64_t haste_since;  /* since this time of the monotonic clock, in ns; set here */
    uint64_t read_errno;   /* reads fail with this, at the rate of per_mille; they are no steps */
};

enum { WRITE = 1, TRUNCATE, SYNCED, NOT_SYNCED, UNLINK };
enum { DATABASE = 0, WAL, ROLLBACK, FOLDER, SHARED, FOREIGN };

struct record {
    uint32_t what, file;
    uint64_t offset, length;
};

static struct control *control;
static const char *store;
static size_t store_length;
static int journal = -1;
static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;
static int (*real_clock_gettime)(clockid_t, struct timespec *);
static int (*real_getaddrinfo)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

__attribute__((constructor)) static void begin(void)
{
    real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    real_getaddrinfo = dlsym(RTLD_NEXT, "getaddrinfo");
    const char *path = getenv("SOAK_CONTROL");
    store = getenv("SOAK_STORE");
    if (!path || !store)
        return;
    store_length = strlen(store);
    int file = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
    void *mapped = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (file < 0 || mapped == MAP_FAILED)
        abort();
    syscall(SYS_close, file);
    control = mapped;
    const char *log = getenv("SOAK_JOURNAL");
    if (log) {
        /* A journal for each process: one that is killed may leave its last record torn. */
        char name[4096];
        struct timespec now;
        syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
        snprintf(name, sizeof name, "%s.%012lld.%09ld", log, (long long)now.tv_sec, now.tv_nsec);
        journal = syscall(SYS_openat, AT_FDCWD, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    }
}

static int by_name(const char *name)
{
    if (!control)
        return FOREIGN;
    size_t folder = strrchr(store, '/') - store;
    if (strlen(name) == folder && !strncmp(name, store, folder))
        return FOLDER;
    if (strncmp(name, store, store_length) != 0)
        return FOREIGN;
    const char *end = name + store_length;
    return !*end                       ? DATABASE
           : !strcmp(end, "-wal")      ? WAL
           : !strcmp(end, "-journal")  ? ROLLBACK
           : !strcmp(end, "-shm")      ? SHARED
                                       : FOREIGN;
}

static int which(int fd)
{
    char link[32], name[4096];
    if (!control)
        return FOREIGN;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, name, sizeof name - 1);
    if (length <= 0)
        return FOREIGN;
    name[length] = 0;
    return by_name(name);
}

/* Appends a record to the journal. Not for the wal-index (-shm): SQLite makes that anew after a crash. */
static void note(uint32_t what, int file, uint64_t offset, const void *data, uint64_t length)
{
    if (journal < 0 || file >= SHARED)
        return;
    struct record record = { what, file, offset, length };
    struct iovec parts[2] = { { &record, sizeof record }, { (void *)data, data ? length : 0 } };
    syscall(SYS_writev, journal, parts, data ? 2 : 1);
}

static int unlucky(void)
{
    static __thread unsigned seed;
    if (!seed)
        seed = (unsigned)getpid() * 2654435761u + (unsigned)(uintptr_t)&seed;
    return (uint64_t)(rand_r(&seed) % 1000) < control->per_mille;
}

/* Counts a step. Returns the error with which it fails, 0 if it does not. */
static int trouble(uint64_t usual)
{
    uint64_t step = __atomic_add_fetch(&control->steps, 1, __ATOMIC_SEQ_CST);
    if (control->slow_us)
        usleep(control->slow_us);
    int error = 0;
    if (control->fail_step && step == control->fail_step)
        error = control->fail_errno;
    else if (usual && unlucky())
        error = usual;
    if (error)
        __atomic_add_fetch(&control->failed, 1, __ATOMIC_SEQ_CST);
    return error;
}

static ssize_t put(int fd, int file, const void *data, size_t length, off_t offset)
{
    pthread_mutex_lock(&order);
    int error = trouble(control->write_errno);
    /* A disk that fills up or breaks may take a part of the data. */
    if (error)
        length /= 2;
    ssize_t written = syscall(SYS_pwrite64, fd, data, length, offset);
    if (written > 0)
        note(WRITE, file, offset, data, written);
    pthread_mutex_unlock(&order);
    if (error)
        errno = error;
    return error ? -1 : written;
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset)
{
    int file = which(fd);
    return file == FOREIGN ? syscall(SYS_pwrite64, fd, data, length, offset) : put(fd, file, data, length, offset);
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset)
{
    return pwrite64(fd, data, length, offset);
}

ssize_t write(int fd, const void *data, size_t length)
{
    int file = which(fd);
    if (file == FOREIGN)
        return syscall(SYS_write, fd, data, length);
    off_t offset = lseek(fd, 0, SEEK_CUR);
    ssize_t written = put(fd, file, data, length, offset);
    if (written > 0)
        lseek(fd, offset + written, SEEK_SET);
    return written;
}

static int cannot_read(int fd)
{
    if (!control || !control->read_errno || which(fd) >= FOLDER || !unlucky())
        return 0;
    __atomic_add_fetch(&control->failed, 1, __ATOMIC_SEQ_CST);
    errno = control->read_errno;
    return 1;
}

ssize_t pread64(int fd, void *data, size_t length, off64_t offset)
{
    return cannot_read(fd) ? -1 : syscall(SYS_pread64, fd, data, length, offset);
}

ssize_t pread(int fd, void *data, size_t length, off_t offset)
{
    return pread64(fd, data, length, offset);
}

ssize_t read(int fd, void *data, size_t length)
{
    return cannot_read(fd) ? -1 : syscall(SYS_read, fd, data, length);
}

static int sync_it(int fd, int call)
{
    int file = which(fd);
    if (file == FOREIGN)
        return control ? 0 : syscall(call, fd);
    pthread_mutex_lock(&order);
    uint64_t sync = __atomic_add_fetch(&control->syncs, 1, __ATOMIC_SEQ_CST);
    int error = trouble(control->sync_errno);
    if (!error && control->fail_sync && sync == control->fail_sync) {
        error = control->fail_errno;
        __atomic_add_fetch(&control->failed, 1, __ATOMIC_SEQ_CST);
    }
    note(error ? NOT_SYNCED : SYNCED, file, 0, NULL, 0);
    pthread_mutex_unlock(&order);
    errno = error;
    return error ? -1 : 0;
}

int fsync(int fd)
{
    return sync_it(fd, SYS_fsync);
}

int fdatasync(int fd)
{
    return sync_it(fd, SYS_fdatasync);
}

int ftruncate64(int fd, off64_t length)
{
    int file = which(fd);
    if (file == FOREIGN)
        return syscall(SYS_ftruncate, fd, length);
    pthread_mutex_lock(&order);
    int error = trouble(control->write_errno), done = -1;
    if (!error && (done = syscall(SYS_ftruncate, fd, length)) == 0)
        note(TRUNCATE, file, length, NULL, 0);
    pthread_mutex_unlock(&order);
    if (error)
        errno = error;
    return done;
}

int ftruncate(int fd, off_t length)
{
    return ftruncate64(fd, length);
}

int unlink(const char *name)
{
    int file = by_name(name);
    pthread_mutex_lock(&order);
    int done = syscall(SYS_unlinkat, AT_FDCWD, name, 0);
    if (!done && file != FOREIGN)
        note(UNLINK, file, 0, NULL, 0);
    pthread_mutex_unlock(&order);
    return done;
}

/* How far the wall clock is off, in milliseconds. */
static int64_t off(void)
{
    if (!control->haste)
        return control->clock_ms;
    struct timespec steady;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &steady);
    uint64_t ns = steady.tv_sec * 1000000000ull + steady.tv_nsec, none = 0;
    __atomic_compare_exchange_n(&control->haste_since, &none, ns, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return control->clock_ms + (int64_t)((ns - control->haste_since) / 1000000) * control->haste;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int done = real_clock_gettime ? real_clock_gettime(clock, now) : (int)syscall(SYS_clock_gettime, clock, now);
    if (!done && control && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t by = off(), nanos = now->tv_nsec + (by % 1000) * 1000000;
        now->tv_sec += by / 1000 + (nanos < 0 ? -1 : nanos / 1000000000);
        now->tv_nsec = nanos < 0 ? nanos + 1000000000 : nanos % 1000000000;
    }
    return done;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
    if (control && control->no_names && name)
        return EAI_AGAIN;
    return real_getaddrinfo(name, service, hints, found);
}
