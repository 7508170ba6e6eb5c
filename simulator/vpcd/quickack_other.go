//go:build !linux

package vpcd

import "net"

// quickAck is a Linux option; elsewhere a slot is slower and works.
func quickAck(net.Conn) {}
