/* What a system call does, to which paths, told without libc, as the handler of a signal must.
 *
 * Included by trap.c alone, which says below which folder calls are of interest.
 */
/* A call as the handler understood it. */
struct call {
    const char *kind;
    int group;                    /* CHANGE, CLOSE or READ */
    char path[PATH_MAX + 16], to[PATH_MAX + 16];
    int inside, to_inside;        /* below the root */
    long fd, flags, offset, size; /* size: of a read or write that can be cut short, or -1 */
    long ino, to_ino, dir;
    int has_to;
};

/* Text, without libc's formatting, which may not be used in a handler. */

struct text {
    char *at, *end;
};

static void put(struct text *text, const char *from) {
    while (*from && text->at < text->end) *text->at++ = *from++;
}

static void put_number(struct text *text, long number) {
    char digits[24], *at = digits + sizeof digits;
    unsigned long left = number < 0 ? 0UL - (unsigned long)number : (unsigned long)number;
    *--at = 0;
    do *--at = (char)('0' + left % 10);
    while (left /= 10);
    if (number < 0) *--at = '-';
    put(text, at);
}

static void put_quoted(struct text *text, const char *from) {
    static const char hex[] = "0123456789abcdef";
    put(text, "\"");
    for (; *from; from++) {
        unsigned char c = (unsigned char)*from;
        char escaped[8] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15], 0, 0};
        char plain[2] = {*from, 0};
        put(text, c < 32 || c == '"' || c == '\\' ? escaped : plain);
    }
    put(text, "\"");
}

static void put_member(struct text *text, const char *name, long number) {
    put(text, ",\"");
    put(text, name);
    put(text, "\":");
    put_number(text, number);
}

/* Paths. */

static int below(const char *path) {
    if (strncmp(path, root, root_length)) return 0;
    return path[root_length] == 0 || path[root_length] == '/';
}

static const char *shown(const char *path) {
    if (!below(path)) return path;
    path += root_length;
    return *path == '/' ? path + 1 : path;
}

/* Where a descriptor leads; "" if nowhere. */
static void path_of(long fd, char *out) {
    char name[40];
    struct text text = {name, name + sizeof name - 1};
    if (fd == AT_FDCWD) {
        put(&text, "/proc/self/cwd");
    } else {
        put(&text, "/proc/self/fd/");
        put_number(&text, (int)fd);
    }
    *text.at = 0;
    long length = CALL(SYS_readlink, name, out, PATH_MAX - 1, 0);
    out[length < 0 ? 0 : length] = 0;
    static const char gone[] = " (deleted)";
    size_t rest = sizeof gone - 1;
    if (length > (long)rest && !strcmp(out + length - rest, gone)) out[length - rest] = 0;
}

/* The absolute path, without "." and empty parts, and with ".." taken as text. A path below
 * /proc/self/fd, by which Python reaches the files of an open folder, is the folder's. */
static int resolve(long dirfd, const char *path, char *out) {
    static const char open_files[] = "/proc/self/fd/";
    size_t length = 0;
    out[0] = 0;
    if (path && !strncmp(path, open_files, sizeof open_files - 1)) {
        path += sizeof open_files - 1;
        for (dirfd = 0; *path >= '0' && *path <= '9'; path++) dirfd = 10 * dirfd + *path - '0';
        path_of(dirfd, out);
        length = strlen(out);
    } else if (!path || path[0] != '/') {
        path_of(dirfd, out);
        length = strlen(out);
        if (!path) return below(out);
    }
    while (*path) {
        size_t part = strcspn(path, "/");
        if (part == 2 && path[0] == '.' && path[1] == '.') {
            while (length && out[--length] != '/') {}
        } else if (part && !(part == 1 && path[0] == '.')) {
            if (length + part + 2 > PATH_MAX) return 0;
            out[length++] = '/';
            memcpy(out + length, path, part);
            length += part;
        }
        path += part + (path[part] == '/');
    }
    out[length] = 0;
    return below(out);
}

static void first(struct call *call, const char *kind, int group, long dirfd, long path) {
    call->kind = kind;
    call->group = group;
    call->inside = resolve((int)dirfd, (const char *)path, call->path);
}

static void second(struct call *call, long dirfd, long path) {
    call->has_to = 1;
    call->to_inside = resolve((int)dirfd, (const char *)path, call->to);
}

static void by_fd(struct call *call, const char *kind, int group, long fd) {
    first(call, kind, group, fd, 0);
    call->fd = (int)fd;
}

static void opened(struct call *call, long dirfd, long path, long flags) {
    int writes = (flags & O_ACCMODE) != O_RDONLY || flags & (O_CREAT | O_TRUNC);
    first(call, writes ? "open" : "openr", writes ? CHANGE : READ, dirfd, path);
    call->flags = flags;
}

static long total(const struct iovec *parts, long count) {
    long size = 0;
    for (long i = 0; i < count; i++) size += (long)parts[i].iov_len;
    return size;
}

/* Say what a call does. Without a kind, it is none of ours. */
static void understand(struct call *call, long number, const long *a) {
    call->kind = 0;
    call->path[0] = call->to[0] = 0;
    call->inside = call->to_inside = call->has_to = 0;
    call->fd = call->size = -1;
    call->flags = call->ino = call->to_ino = call->dir = 0;
    call->offset = NOTHING;
    switch (number) {
    case SYS_open: opened(call, AT_FDCWD, a[0], a[1]); break;
    case SYS_creat: opened(call, AT_FDCWD, a[0], O_CREAT | O_WRONLY | O_TRUNC); break;
    case SYS_openat: opened(call, a[0], a[1], a[2]); break;
    case SYS_openat2:
        opened(call, a[0], a[1], (long)((const struct open_how *)a[2])->flags);
        break;
    case SYS_write: by_fd(call, "write", CHANGE, a[0]); call->size = a[2]; break;
    case SYS_pwrite64:
        by_fd(call, "write", CHANGE, a[0]);
        call->size = a[2], call->offset = a[3];
        break;
    case SYS_writev:
        by_fd(call, "write", CHANGE, a[0]);
        call->size = total((const struct iovec *)a[1], a[2]);
        break;
    case SYS_pwritev:
    case SYS_pwritev2:
        by_fd(call, "write", CHANGE, a[0]);
        call->size = total((const struct iovec *)a[1], a[2]);
        if (a[3] != -1) call->offset = a[3];
        break;
    case SYS_copy_file_range:
        by_fd(call, "copy", CHANGE, a[2]);
        if (a[3]) call->offset = *(const long *)a[3];
        break;
    case SYS_sendfile: by_fd(call, "copy", CHANGE, a[0]); break;
    case SYS_splice: by_fd(call, "copy", CHANGE, a[2]); break;
    case SYS_rename: first(call, "rename", CHANGE, AT_FDCWD, a[0]); second(call, AT_FDCWD, a[1]); break;
    case SYS_renameat: first(call, "rename", CHANGE, a[0], a[1]); second(call, a[2], a[3]); break;
    case SYS_renameat2:
        first(call, "rename", CHANGE, a[0], a[1]);
        second(call, a[2], a[3]);
        call->flags = a[4];
        break;
    case SYS_link: first(call, "link", CHANGE, AT_FDCWD, a[0]); second(call, AT_FDCWD, a[1]); break;
    case SYS_linkat: first(call, "link", CHANGE, a[0], a[1]); second(call, a[2], a[3]); break;
    case SYS_symlink:
    case SYS_symlinkat:
        if (number == SYS_symlink) first(call, "symlink", CHANGE, AT_FDCWD, a[1]);
        else first(call, "symlink", CHANGE, a[1], a[2]);
        strncpy(call->to, (const char *)a[0], PATH_MAX);
        call->has_to = 1;
        break;
    case SYS_unlink: first(call, "unlink", CHANGE, AT_FDCWD, a[0]); break;
    case SYS_unlinkat:
        first(call, a[2] & AT_REMOVEDIR ? "rmdir" : "unlink", CHANGE, a[0], a[1]);
        call->flags = a[2];
        break;
    case SYS_rmdir: first(call, "rmdir", CHANGE, AT_FDCWD, a[0]); break;
    case SYS_mkdir: first(call, "mkdir", CHANGE, AT_FDCWD, a[0]); break;
    case SYS_mkdirat: first(call, "mkdir", CHANGE, a[0], a[1]); break;
    case SYS_mknod: first(call, "open", CHANGE, AT_FDCWD, a[0]); break;
    case SYS_mknodat: first(call, "open", CHANGE, a[0], a[1]); break;
    case SYS_truncate: first(call, "truncate", CHANGE, AT_FDCWD, a[0]); call->offset = a[1]; break;
    case SYS_ftruncate: by_fd(call, "truncate", CHANGE, a[0]); call->offset = a[1]; break;
    case SYS_fallocate: by_fd(call, "allocate", CHANGE, a[0]); call->offset = a[2] + a[3]; break;
    case SYS_fsync: by_fd(call, "fsync", CHANGE, a[0]); break;
    case SYS_fdatasync: by_fd(call, "fdatasync", CHANGE, a[0]); break;
    case SYS_sync_file_range: by_fd(call, "fdatasync", CHANGE, a[0]); break;
    case SYS_syncfs: by_fd(call, "syncfs", CHANGE, a[0]); break;
    case SYS_sync: first(call, "sync", CHANGE, AT_FDCWD, (long)root); break;
    case SYS_mmap: by_fd(call, "mmap", CHANGE, a[4]); break;
    case SYS_chmod:
    case SYS_chown:
    case SYS_setxattr:
    case SYS_removexattr: first(call, "attr", CHANGE, AT_FDCWD, a[0]); break;
    case SYS_fchmodat:
    case SYS_fchownat:
    case SYS_utimensat: first(call, "attr", CHANGE, a[0], a[1]); break;
    case SYS_fchmod:
    case SYS_fchown:
    case SYS_fsetxattr: by_fd(call, "attr", CHANGE, a[0]); break;
    case SYS_close:
        by_fd(call, "close", CLOSE, a[0]);
        if (call->inside) {
            long flags = CALL(SYS_fcntl, a[0], F_GETFL, 0, 0);
            if (flags < 0 || flags & O_PATH || (flags & O_ACCMODE) == O_RDONLY) call->kind = 0;
        }
        break;
    case SYS_read: by_fd(call, "read", READ, a[0]); call->size = a[2]; break;
    case SYS_pread64: by_fd(call, "pread", READ, a[0]); call->size = a[2]; break;
    case SYS_readv:
    case SYS_preadv:
    case SYS_preadv2:
        by_fd(call, "readv", READ, a[0]);
        call->size = total((const struct iovec *)a[1], a[2]);
        break;
    case SYS_stat:
    case SYS_lstat:
    case SYS_access: first(call, "stat", READ, AT_FDCWD, a[0]); break;
    case SYS_newfstatat:
    case SYS_statx:
    case SYS_faccessat:
    case SYS_faccessat2: first(call, "stat", READ, a[0], a[1]); break;
    case SYS_fstat: by_fd(call, "stat", READ, a[0]); break;
    case SYS_getdents64: by_fd(call, "getdents", READ, a[0]); break;
    case SYS_flock: by_fd(call, "flock", READ, a[0]); break;
    case SYS_readlink: first(call, "readlink", READ, AT_FDCWD, a[0]); break;
    case SYS_readlinkat: first(call, "readlink", READ, a[0], a[1]); break;
    default: break;
    }
    if (!call->inside && !call->to_inside) call->kind = 0;
    if (call->kind && !(call->group & watch)) call->kind = 0;
}
