//go:build !linux

package vpcdproto

import "net"

// QuickAck is a Linux option; elsewhere the protocol is slower and works.
func QuickAck(net.Conn) {}
