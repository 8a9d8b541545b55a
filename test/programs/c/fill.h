/* Taking all memory that there is. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <unistd.h>

/* filling is fresh memory, and what it is filled from. */
struct filling {
	int fits; /* on a machine with much memory a little only is taken */
	int fd;
	size_t size;
	char *start;
};

/* ready_to_fill gets what fill_up needs, which there may be none of later. It exits with 8 if it can't. */
static struct filling ready_to_fill(void)
{
	struct sysinfo info;
	if (sysinfo(&info) != 0)
		_exit(8);
	struct filling f = {.fits = info.freeram * info.mem_unit > 192 << 20, .fd = open("/dev/zero", O_RDONLY)};
	f.size = f.fits ? 1 << 20 : 1L << 33;
	f.start = mmap(NULL, f.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (f.fd < 0 || f.start == MAP_FAILED)
		_exit(8);
	return f;
}

/* fill_up reads zeros into fresh memory until there is none, and gives a little back. It exits with 8 if it can't. */
static void fill_up(struct filling f)
{
	enum { BACK = 128 << 10 };
	size_t done = 0;
	ssize_t n = 1;
	for (; done < f.size && n > 0; done += n > 0 ? n : 0)
		n = read(f.fd, f.start + done, 64 << 10);
	if (done < BACK || (!f.fits && (n >= 0 || errno != ENOMEM)))
		_exit(8);
	madvise(f.start + (done & ~4095L) - BACK, BACK, MADV_DONTNEED);
	close(f.fd);
}

/* fill is both. The memory is at *start. */
static size_t fill(char **start)
{
	struct filling f = ready_to_fill();
	fill_up(f);
	*start = f.start;
	return f.size;
}
