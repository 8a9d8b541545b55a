package vfs

import "strconv"

// newSys makes the part of /sys that runtimes and programs that count processors look at.
func (fs *FS) newSys() *Dir {
	d := fs.newDir(devSys, 0o555)
	d.fixed = true
	t := tree{fs, d, devSys}
	fs.addSysCPUs(t)
	// Go's heap sizes its arenas' huge pages by it; there are no huge pages, 2 MiB is what it assumes anyway.
	t.fixed("kernel/mm/transparent_hugepage/hpage_pmd_size", "2097152\n")
	t.fixed("kernel/mm/transparent_hugepage/enabled", "always madvise [never]\n")
	return d
}

// addSysCPUs adds /sys/devices/system/cpu [Linux, Documentation/ABI/testing/sysfs-devices-system-cpu]. The CPUs are the cores
// of one package, as in /proc/cpuinfo. None has a file online: as on a Linux without CPU hotplug, they all are, for good.
func (fs *FS) addSysCPUs(t tree) {
	const path = "devices/system/cpu/"
	all := "0"
	if n := fs.options.CPUs; n > 1 {
		all = "0-" + strconv.Itoa(n-1)
	}
	for _, f := range [...][2]string{
		{"online", all}, {"possible", all}, {"present", all}, {"offline", ""}, {"isolated", ""},
		{"kernel_max", strconv.Itoa(fs.options.CPUs - 1)},
	} {
		t.fixed(path+f[0], f[1]+"\n")
	}
	for cpu := range fs.options.CPUs {
		number := strconv.Itoa(cpu)
		for _, f := range [...][2]string{
			{"physical_package_id", "0"}, {"core_id", number}, {"thread_siblings_list", number}, {"core_siblings_list", all},
		} {
			t.fixed(path+"cpu"+number+"/topology/"+f[0], f[1]+"\n")
		}
	}
}
