// Package service tells the service manager how the terminal does: that it is ready, that it is alive, that it stops. It speaks systemd's
// notification protocol (sd_notify(3)), which is one datagram to a socket; without a service manager it does nothing.
package service
