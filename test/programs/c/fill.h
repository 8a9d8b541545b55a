/* Taking all memory that there is. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <unistd.h>

/*
 * fill reads zeros into fresh memory until there is none, and gives a little back. It exits with 8 if it can't. On a machine with much
 * memory it takes a little only. The memory is at *start.
 */
static size_t fill(char **start)
{
	enum { BACK = 128 << 10 };
	struct sysinfo info;
	if (sysinfo(&info) != 0)
		_exit(8);
	int fits = info.freeram * info.mem_unit > 192 << 20;
	size_t size = fits ? 1 << 20 : 1L << 33, done = 0;
	int fd = open("/dev/zero", O_RDONLY);
	char *m = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (fd < 0 || m == MAP_FAILED)
		_exit(8);
	ssize_t n = 1;
	for (; done < size && n > 0; done += n > 0 ? n : 0)
		n = read(fd, m + done, 64 << 10);
	if (done < BACK || (!fits && (n >= 0 || errno != ENOMEM)))
		_exit(8);
	madvise(m + (done & ~4095L) - BACK, BACK, MADV_DONTNEED);
	close(fd);
	*start = m;
	return size;
}
