package sandbox

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// native is the order of bytes in which the kernel speaks.
var native = binary.NativeEndian

// loopbackIndex: it is the first device of every network namespace.
const loopbackIndex = 1

// linkUp brings the loopback device up.
func linkUp() error {
	// struct ifinfomsg: family, pad, type, index, flags, change.
	body := make([]byte, unix.SizeofIfInfomsg)
	native.PutUint32(body[4:], loopbackIndex)
	native.PutUint32(body[8:], unix.IFF_UP)
	native.PutUint32(body[12:], unix.IFF_UP)
	return routeRequest(unix.RTM_NEWLINK, 0, body)
}

// addAddress puts an address onto the loopback device.
func addAddress(a netip.Addr) error {
	// struct ifaddrmsg: family, prefix length, flags, scope, index.
	family := byte(unix.AF_INET)
	var flags byte
	if a = a.Unmap().WithZone(""); a.Is6() {
		family, flags = unix.AF_INET6, unix.IFA_F_NODAD // nobody else is there who might have it
	}
	body := []byte{family, byte(a.BitLen()), flags, unix.RT_SCOPE_UNIVERSE, 0, 0, 0, 0}
	native.PutUint32(body[4:], loopbackIndex)
	for _, kind := range []uint16{unix.IFA_LOCAL, unix.IFA_ADDRESS} {
		attr := make([]byte, 4, 4+16)
		native.PutUint16(attr, uint16(4+a.BitLen()/8))
		native.PutUint16(attr[2:], kind)
		body = append(body, append(attr, a.AsSlice()...)...)
	}
	return routeRequest(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_EXCL, body)
}

// routeRequest sends one request to the kernel's routing socket and reads its
// answer (rtnetlink(7)).
func routeRequest(kind, flags uint16, body []byte) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd) // it was only asked
	packet := make([]byte, unix.SizeofNlMsghdr, unix.SizeofNlMsghdr+len(body))
	native.PutUint32(packet, uint32(unix.SizeofNlMsghdr+len(body)))
	native.PutUint16(packet[4:], kind)
	native.PutUint16(packet[6:], unix.NLM_F_REQUEST|unix.NLM_F_ACK|flags)
	packet = append(packet, body...)
	if err := unix.Sendto(fd, packet, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return os.NewSyscallError("sendto", err)
	}
	answer := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, answer, 0)
	if err != nil {
		return os.NewSyscallError("recvfrom", err)
	}
	if n < unix.SizeofNlMsghdr+4 || native.Uint16(answer[4:]) != unix.NLMSG_ERROR {
		return errors.New("the kernel's answer is no acknowledgement")
	}
	if code := int32(native.Uint32(answer[unix.SizeofNlMsghdr:])); code != 0 {
		return os.NewSyscallError("rtnetlink", syscall.Errno(-code))
	}
	return nil
}
