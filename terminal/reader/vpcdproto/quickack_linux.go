package vpcdproto

import (
	"net"
	"syscall"
)

// QuickAck asks the kernel to acknowledge at once. Call it before and after each read: the option does not stick, and
// Debian's driver sends length and body as two packets without TCP_NODELAY, so that each command would cost a delayed ACK of
// 44 ms. It is a matter of speed only, so a failure is no error.
func QuickAck(conn net.Conn) {
	tcp, is := conn.(*net.TCPConn)
	if !is {
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1)
	})
}
