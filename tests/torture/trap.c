/* See every file-changing system call of this process below one folder: count, trace, kill, fail.
 *
 * A filter of the kernel (seccomp) turns the calls listed in `install` into the signal SIGSYS, from
 * whatever code they come: libc, Python, or Rust code that enters the kernel by itself. The handler
 * looks at the paths, and then makes the call itself, by the one `syscall` instruction that the
 * filter lets through. Threads and forked children inherit the filter; programs that are executed
 * die, as they inherit the filter without the handler.
 *
 * `torture_page` gives a page that forked processes share with their parent: the parent sets what is
 * to happen, the child calls `torture_start`, and the parent reads the count even of a child that
 * was killed. Calls that touch no path below the root are made, and neither counted nor logged.
 *
 * A process can also stop before one of its calls until the parent lets it go on. Two pipes carry
 * this: the process writes 'p' to `tell` when it stops, and goes on when it reads a byte from `go`;
 * it dies if `go` is closed. It writes 'w' when it waits for a file lock that another holds: before
 * a call that would block, or at the third attempt in a row that does not. Only if `flock` is
 * watched; other threads of the process are not stopped.
 * Paths are compared as text, so the root must be given as a real path. Memory that is mapped for
 * writing is seen when it is mapped (`mmap`), not when it is changed.
 *
 * What counts is chosen by `watch`, a sum of
 *   1  what changes files: open for writing or creating, write, pwrite, writev, pwritev, rename,
 *      link, symlink, unlink, rmdir, mkdir, truncate, allocate, copy (copy_file_range, sendfile),
 *      fsync, fdatasync, syncfs, sync, mmap (shared and writable), attr (modes, times, xattrs);
 *   2  close of a descriptor that is open for writing;
 *   4  what reads: open for reading (`openr`), read, pread, readv, stat, getdents, flock, readlink.
 *
 * The trace, if `torture_start` is given its path, has one JSON object a line, in the order in which
 * the calls were made (one at a time, over all threads and processes):
 *   n       the number of the call, as counted, from 1; 0 for a mark
 *   pid     the process;  tid  the thread
 *   kind    one of the names above, or "mark"
 *   path    below the root, "" for the root itself; absolute if outside
 *   to      the second path (rename, link), the text of a symlink, or the text of a mark
 *   ino     the inode of `path` (for rename and unlink: before the call; for open: after it), 0: none
 *   to_ino  the inode that a rename replaces or exchanges, 0: none
 *   dir     1 if `ino` is a folder
 *   flags   of open (fcntl.h) and rename (1 NOREPLACE, 2 EXCHANGE), of unlink (512: rmdir)
 *   fd      the descriptor of a call that has one, as in the process
 *   offset  where in the file the data went (write, copy), or the new size (truncate)
 *   size    how many bytes were written
 *   at      where these bytes stand in the side file, which is named like the trace and ".data"
 *   result  what the call returned, negative: an errno
 * Members that mean nothing for a kind are 0 or "". pwrite, writev and pwritev are all told as
 * "write", and "copy" as well has its bytes in the side file.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

#if !defined(__linux__) || !defined(__x86_64__)
#error "the traps know Linux on x86-64 only"
#endif

#define CHANGE 1
#define CLOSE 2
#define READ 4
#define NOTHING (-100000)

struct shared {
    long count;       /* calls so far */
    long kill_at;     /* die before this call; 0: never */
    long inside;      /* die in the middle of it, if it is a write */
    long fail_at;     /* let this call fail; 0: none */
    long fail_errno;  /* with this number; 0: a short read or write, which succeeds */
    long failed;      /* how many calls were made to fail, or cut short */
    long pause_at;    /* stop before this call; 0: never */
    long tell, go;    /* pipes to and from who watches; -1: none */
    long lock;        /* the thread that is making a traced call */
    char last[2 * PATH_MAX + 64]; /* the call that was killed or failed: kind, path, path */
};

static struct shared *shared;
static char root[PATH_MAX];
static size_t root_length;
static long watch;
static long attempts; /* to lock a file that another holds, in a row */
static int log_file = -1, data_file = -1;

long torture_syscall(long number, long a, long b, long c, long d, long e, long f);
extern char torture_after[];
__asm__(".text\n"
        ".globl torture_syscall\n.hidden torture_syscall\n.type torture_syscall,@function\n"
        "torture_syscall:\n"
        "  mov %rdi, %rax\n  mov %rsi, %rdi\n  mov %rdx, %rsi\n  mov %rcx, %rdx\n"
        "  mov %r8, %r10\n  mov %r9, %r8\n  mov 8(%rsp), %r9\n"
        "  syscall\n"
        ".globl torture_after\n.hidden torture_after\n"
        "torture_after:\n"
        "  ret\n"
        ".size torture_syscall, . - torture_syscall\n");

#define CALL(number, a, b, c, d) \
    torture_syscall(number, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)

#include "calls.h"

/* Who watches. */

static void say(const char *what) {
    if (shared->tell >= 0) CALL(SYS_write, shared->tell, what, 1, 0);
}

static void stop(void) {
    char byte;
    long got;
    say("p");
    do got = CALL(SYS_read, shared->go, &byte, 1, 0);
    while (got == -EINTR);
    if (got != 1) torture_syscall(SYS_exit_group, 96, 0, 0, 0, 0, 0);
}

/* Make a call that locks a file, and say if it has to wait. */
static long locked(long number, const long *a) {
    long result, what = a[1];
    static const char waits[] = "w";
    if (what & LOCK_UN) return torture_syscall(number, a[0], what, 0, 0, 0, 0);
    result = torture_syscall(number, a[0], what | LOCK_NB, 0, 0, 0, 0);
    if (result != -EWOULDBLOCK) {
        attempts = 0;
        return result;
    }
    if (what & LOCK_NB) {
        if (++attempts == 3) say(waits);
        return result;
    }
    say(waits);
    return torture_syscall(number, a[0], what, 0, 0, 0, 0);
}

/* Make the call, or the first half of a read or write. */
static long make(long number, const long *a, const struct call *call, int half) {
    if (number == SYS_flock && call->kind) return locked(number, a);
    if (!half) return torture_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    long size = call->size / 2;
    switch (number) {
    case SYS_write:
    case SYS_pwrite64:
    case SYS_read:
    case SYS_pread64: return torture_syscall(number, a[0], a[1], size, a[3], a[4], a[5]);
    default: break;
    }
    /* Whole parts, as many as fit, and then the beginning of the next one. */
    const struct iovec *from = (const struct iovec *)a[1];
    struct iovec some[64];
    long count = 0;
    for (; count < 64 && count < a[2] && size > 0; count++) {
        some[count] = from[count];
        if ((long)some[count].iov_len > size) some[count].iov_len = (size_t)size;
        size -= (long)some[count].iov_len;
    }
    return torture_syscall(number, a[0], (long)some, count, a[3], a[4], a[5]);
}

/* The trace. */

static long inode(const char *path, long *dir) {
    struct stat found;
    if (CALL(SYS_newfstatat, AT_FDCWD, path, &found, AT_SYMLINK_NOFOLLOW)) return 0;
    if (dir) *dir = S_ISDIR(found.st_mode);
    return (long)found.st_ino;
}

static long inode_of(long fd, long *dir) {
    struct stat found;
    if (CALL(SYS_fstat, fd, &found, 0, 0)) return 0;
    *dir = S_ISDIR(found.st_mode);
    return (long)found.st_ino;
}

static void all(int file, const char *from, long size) {
    while (size > 0) {
        long done = CALL(SYS_write, file, from, size, 0);
        if (done == -EINTR) continue;
        if (done < 0) torture_syscall(SYS_exit_group, 97, 0, 0, 0, 0, 0);
        from += done, size -= done;
    }
}

/* Append what was written to the side file; it is read back where it came from another file. */
static long keep(long number, const long *a, const struct call *call, long size) {
    long at = CALL(SYS_lseek, data_file, 0, SEEK_END, 0);
    if (number == SYS_write || number == SYS_pwrite64) {
        all(data_file, (const char *)a[1], size);
    } else if (number == SYS_writev || number == SYS_pwritev || number == SYS_pwritev2) {
        const struct iovec *part = (const struct iovec *)a[1];
        for (long left = size; left > 0; part++) {
            long some = (long)part->iov_len < left ? (long)part->iov_len : left;
            all(data_file, part->iov_base, some);
            left -= some;
        }
    } else {
        char name[40], buffer[4096];
        struct text text = {name, name + sizeof name - 1};
        put(&text, "/proc/self/fd/");
        put_number(&text, call->fd);
        *text.at = 0;
        long file = CALL(SYS_open, name, O_RDONLY | O_CLOEXEC, 0, 0);
        for (long done = 0; done < size;) {
            long want = size - done < (long)sizeof buffer ? size - done : (long)sizeof buffer;
            long some = CALL(SYS_pread64, file, buffer, want, call->offset + done);
            if (some <= 0) torture_syscall(SYS_exit_group, 97, 0, 0, 0, 0, 0);
            all(data_file, buffer, some);
            done += some;
        }
        CALL(SYS_close, file, 0, 0, 0);
    }
    return at;
}

static void lock(void) {
    long me = CALL(SYS_gettid, 0, 0, 0, 0);
    for (long turn = 1;; turn++) {
        long owner = 0;
        if (__atomic_compare_exchange_n(&shared->lock, &owner, me, 0, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED))
            return;
        /* Who was killed from outside in the middle of a call does not give the lock back. */
        if (turn % 10000 == 0 && CALL(SYS_tkill, owner, 0, 0, 0) == -ESRCH)
            __atomic_compare_exchange_n(&shared->lock, &owner, 0, 0, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED);
        CALL(SYS_sched_yield, 0, 0, 0, 0);
    }
}

static void unlock(void) { __atomic_store_n(&shared->lock, 0, __ATOMIC_RELEASE); }

static void write_line(const struct call *call, long n, long at, long size, long result) {
    char line[12 * PATH_MAX];
    struct text text = {line, line + sizeof line - 1};
    put(&text, "{\"n\":");
    put_number(&text, n);
    put_member(&text, "pid", CALL(SYS_getpid, 0, 0, 0, 0));
    put_member(&text, "tid", CALL(SYS_gettid, 0, 0, 0, 0));
    put(&text, ",\"kind\":");
    put_quoted(&text, call->kind);
    put(&text, ",\"path\":");
    put_quoted(&text, shown(call->path));
    put(&text, ",\"to\":");
    put_quoted(&text, shown(call->to));
    put_member(&text, "ino", call->ino);
    put_member(&text, "to_ino", call->to_ino);
    put_member(&text, "dir", call->dir);
    put_member(&text, "flags", call->flags);
    put_member(&text, "fd", call->fd);
    put_member(&text, "offset", call->offset == NOTHING ? 0 : call->offset);
    put_member(&text, "size", size);
    put_member(&text, "at", at);
    put_member(&text, "result", result);
    put(&text, "}\n");
    all(log_file, line, text.at - line);
}

static long traced(long number, const long *a, struct call *call, long n, int half) {
    int writes = call->group == CHANGE && (!strcmp(call->kind, "write") || !strcmp(call->kind, "copy"));
    int opens = !strcmp(call->kind, "open") || !strcmp(call->kind, "openr");
    if (call->fd >= 0) call->ino = inode_of(call->fd, &call->dir);
    else if (!opens) call->ino = inode(call->path, &call->dir);
    if (call->to_inside) call->to_ino = inode(call->to, 0);
    if (writes && call->offset == NOTHING) {
        long flags = CALL(SYS_fcntl, call->fd, F_GETFL, 0, 0);
        struct stat found = {0};
        if (flags & O_APPEND && !CALL(SYS_fstat, call->fd, &found, 0, 0)) call->offset = found.st_size;
        else call->offset = CALL(SYS_lseek, call->fd, 0, SEEK_CUR, 0);
    }
    long result = make(number, a, call, half), at = 0, size = 0;
    if (opens && result >= 0) {
        call->fd = result;
        call->ino = inode_of(result, &call->dir);
    }
    if (!strcmp(call->kind, "mkdir") && !result) call->ino = inode(call->path, &call->dir);
    if (writes && result > 0) {
        size = result;
        at = keep(number, a, call, size);
    }
    write_line(call, n, at, size, result);
    return result;
}

/* What is to happen. */

static void note(const struct call *call) {
    struct text text = {shared->last, shared->last + sizeof shared->last - 1};
    put(&text, call->kind);
    put(&text, " ");
    put(&text, *shown(call->path) ? shown(call->path) : ".");
    if (call->has_to) {
        put(&text, " -> ");
        put(&text, shown(call->to));
    }
    *text.at = 0;
}

static long perform(long number, const long *a) {
    struct call call;
    understand(&call, number, a);
    if (!call.kind) return make(number, a, &call, 0);
    if (log_file >= 0) lock();
    long n = __atomic_add_fetch(&shared->count, 1, __ATOMIC_RELAXED), result;
    int half = 0;
    if (number != SYS_flock) attempts = 0;
    if (n == shared->pause_at) {
        note(&call);
        stop();
    }
    if (n == shared->kill_at) {
        note(&call);
        if (shared->inside && call.group == CHANGE && call.size > 1) {
            if (log_file >= 0) traced(number, a, &call, n, 1);
            else make(number, a, &call, 1);
        }
        if (log_file >= 0) unlock();
        CALL(SYS_kill, CALL(SYS_getpid, 0, 0, 0, 0), SIGKILL, 0, 0);
        for (;;) CALL(SYS_pause, 0, 0, 0, 0);
    }
    if (n == shared->fail_at) {
        note(&call);
        if (shared->fail_errno) {
            shared->failed++;
            if (!strcmp(call.kind, "close")) make(number, a, &call, 0);
            if (log_file >= 0) write_line(&call, n, 0, 0, -shared->fail_errno), unlock();
            return -shared->fail_errno;
        }
        half = call.size > 1;
        shared->failed += half;
    }
    result = log_file >= 0 ? traced(number, a, &call, n, half) : make(number, a, &call, half);
    if (log_file >= 0) unlock();
    return result;
}

static void handle(int signal, siginfo_t *info, void *context) {
    (void)signal;
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    long a[6] = {registers[REG_RDI], registers[REG_RSI], registers[REG_RDX],
                 registers[REG_R10], registers[REG_R8],  registers[REG_R9]};
    registers[REG_RAX] = perform(info->si_syscall, a);
}

/* The filter. */

#define LOAD(member) \
    (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member))
#define ANSWER(what) (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, what)
#define SKIP_UNLESS(value, count) \
    (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(value), 0, count)
#define SKIP_UNLESS_ANY(bits, count) \
    (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (uint32_t)(bits), 0, count)

static int install(void) {
    static const int changing[] = {
        SYS_creat, SYS_openat2, SYS_write, SYS_pwrite64, SYS_writev, SYS_pwritev, SYS_pwritev2,
        SYS_copy_file_range, SYS_sendfile, SYS_splice, SYS_rename, SYS_renameat, SYS_renameat2,
        SYS_link, SYS_linkat, SYS_symlink, SYS_symlinkat, SYS_unlink, SYS_unlinkat, SYS_rmdir,
        SYS_mkdir, SYS_mkdirat, SYS_mknod, SYS_mknodat, SYS_truncate, SYS_ftruncate, SYS_fallocate,
        SYS_fsync, SYS_fdatasync, SYS_sync_file_range, SYS_syncfs, SYS_sync, SYS_chmod, SYS_chown,
        SYS_setxattr, SYS_removexattr, SYS_fchmodat, SYS_fchownat, SYS_utimensat, SYS_fchmod,
        SYS_fchown, SYS_fsetxattr,
    };
    static const int reading[] = {
        SYS_open, SYS_openat, SYS_openat2, SYS_read, SYS_pread64, SYS_readv, SYS_preadv,
        SYS_preadv2, SYS_stat, SYS_lstat, SYS_access, SYS_newfstatat, SYS_statx, SYS_faccessat,
        SYS_faccessat2, SYS_fstat, SYS_getdents64, SYS_flock, SYS_readlink, SYS_readlinkat,
    };
    static struct sock_filter program[256];
    const uint32_t writes = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC;
    size_t at = 0;
    uint64_t after = (uint64_t)torture_after;
    program[at++] = LOAD(arch);
    program[at++] =
        (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
    program[at++] = ANSWER(SECCOMP_RET_KILL_PROCESS);
    /* The call comes from the handler. */
    program[at++] = (struct sock_filter)BPF_STMT(
        BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer));
    program[at++] = SKIP_UNLESS(after & 0xffffffffu, 3);
    program[at++] = (struct sock_filter)BPF_STMT(
        BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer) + 4);
    program[at++] = SKIP_UNLESS(after >> 32, 1);
    program[at++] = ANSWER(SECCOMP_RET_ALLOW);
    program[at++] = LOAD(nr);
    /* Nobody writes by the ring, past all this. */
    program[at++] = SKIP_UNLESS(SYS_io_uring_setup, 1);
    program[at++] = ANSWER(SECCOMP_RET_ERRNO | ENOSYS);
    if (watch & READ)
        for (size_t i = 0; i < sizeof reading / sizeof *reading; i++) {
            program[at++] = SKIP_UNLESS(reading[i], 1);
            program[at++] = ANSWER(SECCOMP_RET_TRAP);
        }
    if (watch & CLOSE) {
        program[at++] = SKIP_UNLESS(SYS_close, 1);
        program[at++] = ANSWER(SECCOMP_RET_TRAP);
    }
    for (size_t i = 0; i < sizeof changing / sizeof *changing; i++) {
        program[at++] = SKIP_UNLESS(changing[i], 1);
        program[at++] = ANSWER(SECCOMP_RET_TRAP);
    }
    /* Of what remains, the flags decide. The accumulator is loaded anew only where that ends it. */
    program[at++] = SKIP_UNLESS(SYS_open, 4);
    program[at++] = LOAD(args[1]);
    program[at++] = SKIP_UNLESS_ANY(writes, 1);
    program[at++] = ANSWER(SECCOMP_RET_TRAP);
    program[at++] = ANSWER(SECCOMP_RET_ALLOW);
    program[at++] = SKIP_UNLESS(SYS_openat, 4);
    program[at++] = LOAD(args[2]);
    program[at++] = SKIP_UNLESS_ANY(writes, 1);
    program[at++] = ANSWER(SECCOMP_RET_TRAP);
    program[at++] = ANSWER(SECCOMP_RET_ALLOW);
    program[at++] = SKIP_UNLESS(SYS_mmap, 5);
    program[at++] = LOAD(args[2]);
    program[at++] = SKIP_UNLESS_ANY(PROT_WRITE, 3);
    program[at++] = LOAD(args[3]);
    program[at++] = SKIP_UNLESS_ANY(MAP_SHARED, 1);
    program[at++] = ANSWER(SECCOMP_RET_TRAP);
    program[at++] = ANSWER(SECCOMP_RET_ALLOW);
    struct sock_fprog filter = {(unsigned short)at, program};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return -errno;
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter))
        return -errno;
    return 0;
}

/* What Python calls. */

/* Give a new page that says what is to happen, and what did. */
__attribute__((visibility("default"))) struct shared *torture_page(void) {
    void *page = mmap(0, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return page == MAP_FAILED ? 0 : page;
}

static int out_of_the_way(const char *path) {
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (file < 0) return -errno;
    int far = fcntl(file, F_DUPFD_CLOEXEC, 500);
    if (far < 0) return file;
    close(file);
    return far;
}

/* Watch this process from now on, for good; give 0 or a negative errno. */
__attribute__((visibility("default"))) int torture_start(struct shared *page,
                                                         const char *below_path, long what,
                                                         const char *trace) {
    struct sigaction action = {0};
    char name[PATH_MAX];
    shared = page;
    root_length = strlen(below_path);
    if (root_length >= PATH_MAX - 16) return -ENAMETOOLONG;
    memcpy(root, below_path, root_length + 1);
    watch = what;
    if (trace && *trace) {
        log_file = out_of_the_way(trace);
        if (log_file < 0) return log_file;
        struct text text = {name, name + sizeof name - 1};
        put(&text, trace);
        put(&text, ".data");
        *text.at = 0;
        data_file = out_of_the_way(name);
        if (data_file < 0) return data_file;
    }
    action.sa_sigaction = handle;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    /* No other handler runs in the middle of a call that is being looked at. */
    sigfillset(&action.sa_mask);
    sigdelset(&action.sa_mask, SIGSYS);
    if (sigaction(SIGSYS, &action, 0)) return -errno;
    return install();
}

/* Put a line of text into the trace, between the calls before and after it. */
__attribute__((visibility("default"))) void torture_mark(const char *text) {
    struct call call = {.kind = "mark", .fd = -1, .offset = NOTHING};
    if (log_file < 0) return;
    strncpy(call.to, text, PATH_MAX);
    lock();
    write_line(&call, 0, 0, 0, 0);
    unlock();
}
