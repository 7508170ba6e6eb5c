package vpcd

import (
	"net"
	"syscall"
)

// quickAck asks the kernel to acknowledge at once. It is a matter of speed only, so a failure is no error.
func quickAck(conn net.Conn) {
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
