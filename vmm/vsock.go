package vmm

import (
	"net"
	"os"
	"strconv"
)

// VsockPair returns the two ends of the connection between QEMU and a vhost-user-vsock device: the device's, and the
// one for Machine.Vsock.
func VsockPair() (ours *net.UnixConn, theirs *os.File, err error) {
	file, theirs, err := socketPair("vsock")
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	c, err := net.FileConn(file)
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return c.(*net.UnixConn), theirs, nil
}

// inheritedVsock is where the device is whose connection QEMU has inherited.
func inheritedVsock() string { return "fd=" + strconv.Itoa(VsockFD) }

// VsockArgs returns the options of QEMU that attach a vhost-user-vsock device, which is where a chardev of type socket says. It
// works on the guest's memory, which therefore is a file that QEMU shares.
func (m *Machine) VsockArgs(where string) []string {
	device := "vhost-user-vsock-pci"
	if m.Type == microvm {
		device = "vhost-user-vsock-device"
	}
	return []string{
		"-object", "memory-backend-memfd,id=memory,share=on,size=" + memoryArg(m.Memory),
		"-machine", "memory-backend=memory", // added to the options of -M
		"-chardev", "socket,id=vsock," + where,
		"-device", device + ",chardev=vsock",
	}
}
