package server

import (
	"errors"
	"net"
	"net/netip"
	"sync"
)

// limitedListener lets at most so many connections be open. Others wait in the
// system's queue; of one address more than its share are closed at once.
type limitedListener struct {
	net.Listener
	places  chan struct{}
	closed  chan struct{}
	close   sync.Once
	share   int    // connections of one address
	refused func() // is called for every connection that is closed

	mu        sync.Mutex
	addresses map[string]int // open connections
}

func limitConnections(l net.Listener, limits *Limits, refused func()) net.Listener {
	return &limitedListener{
		Listener: l, places: make(chan struct{}, limits.Connections), closed: make(chan struct{}),
		share: limits.AddressConnections, refused: refused, addresses: map[string]int{},
	}
}

// Accept implements net.Listener.
func (l *limitedListener) Accept() (net.Conn, error) {
	select {
	case l.places <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			<-l.places
			return nil, err
		}
		address := addressOf(c.RemoteAddr().String())
		if l.enter(address) {
			return &limitedConnection{Conn: c, leave: func() { l.leave(address) }}, nil
		}
		c.Close()
		l.refused()
	}
}

func (l *limitedListener) enter(address string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if address == "" {
		return true
	}
	if l.addresses[address] >= l.share {
		return false
	}
	l.addresses[address]++
	return true
}

func (l *limitedListener) leave(address string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.addresses[address]--; l.addresses[address] <= 0 {
		delete(l.addresses, address)
	}
	<-l.places
}

// Close implements net.Listener.
func (l *limitedListener) Close() error {
	l.close.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

type limitedConnection struct {
	net.Conn
	once  sync.Once
	leave func()
}

// Close implements net.Conn.
func (c *limitedConnection) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.leave)
	return err
}

// CloseWrite lets the HTTP server end what it sends before it stops reading, so
// that a client whose body is not wanted reads the answer that says so.
func (c *limitedConnection) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// addressOf returns what limits by address count by: the IP address, of IPv6
// its first 64 bits, which one customer of a network has. It is "" for this
// machine, which has no such limits: a proxy here speaks for all its clients.
func addressOf(remote string) string {
	at, err := netip.ParseAddrPort(remote)
	address := at.Addr().Unmap()
	if err != nil || address.IsLoopback() {
		return ""
	}
	if address.Is6() {
		if network, err := address.WithZone("").Prefix(64); err == nil {
			return network.String()
		}
	}
	return address.String()
}
