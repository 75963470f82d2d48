/* A disk that fails, for tests: preloaded before the C library. While the file that LAPWING_FAULT names exists, calls on
   files below LAPWING_FAULT_BELOW fail as its first letter says: S: nothing can be synced; W: nothing can be written. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/syscall.h>
#include <unistd.h>

static int fails(int fd, char how) {
    const char *control = getenv("LAPWING_FAULT"), *below = getenv("LAPWING_FAULT_BELOW");
    char link[64], path[4096], asked = 0;
    if (!control || !below) return 0;
    long file = syscall(SYS_openat, AT_FDCWD, control, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    long read = syscall(SYS_read, file, &asked, 1);
    syscall(SYS_close, file);
    if (read != 1 || asked != how) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return strncmp(path, below, strlen(below)) == 0;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int fsync(int fd) {
    if (fails(fd, 'S')) { errno = EIO; return -1; }
    return NEXT(fsync)(fd);
}
int fdatasync(int fd) {
    if (fails(fd, 'S')) { errno = EIO; return -1; }
    return NEXT(fdatasync)(fd);
}
ssize_t write(int fd, const void *bytes, size_t length) {
    if (fails(fd, 'W')) { errno = EROFS; return -1; }
    return NEXT(write)(fd, bytes, length);
}
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t place) {
    if (fails(fd, 'W')) { errno = EROFS; return -1; }
    return NEXT(pwrite)(fd, bytes, length, place);
}
ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t place) {
    if (fails(fd, 'W')) { errno = EROFS; return -1; }
    return NEXT(pwrite64)(fd, bytes, length, place);
}
int ftruncate(int fd, off_t length) {
    if (fails(fd, 'W')) { errno = EROFS; return -1; }
    return NEXT(ftruncate)(fd, length);
}
int ftruncate64(int fd, off64_t length) {
    if (fails(fd, 'W')) { errno = EROFS; return -1; }
    return NEXT(ftruncate64)(fd, length);
}
