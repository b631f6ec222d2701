package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"syscall"

	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/server"
	"github.com/hokan-db/hokan/server/api"
)

// listenFlags say where a server listens.
type listenFlags struct {
	Listen         string `default:"127.0.0.1:4180" placeholder:"HOST:PORT" help:"Where to listen (default ${default}); port 0 chooses one."`
	AllowPlaintext bool   `help:"Listen beyond this machine without TLS: tokens and data can be read on the way."`
}

// listen opens the port. Without TLS it takes a flag to be reached from
// elsewhere.
func (f *listenFlags) listen(encrypted bool) (net.Listener, error) {
	host, _, err := net.SplitHostPort(f.Listen)
	if err != nil {
		return nil, api.NewError("malformed", fmt.Sprintf("--listen %s is not HOST:PORT", f.Listen))
	}
	if !encrypted && !f.AllowPlaintext && !isLoopback(host) {
		return nil, api.NewError("malformed", fmt.Sprintf("--listen %s can be reached from other machines: "+
			"give --tls-cert and --tls-key, or --allow-plaintext where the way there is protected", f.Listen))
	}
	l, err := net.Listen("tcp", f.Listen)
	if err != nil {
		return nil, f.cannotListen(err)
	}
	return l, nil
}

// cannotListen says why the port cannot be had.
func (f *listenFlags) cannotListen(err error) error {
	code, text := "unavailable", err.Error()
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		text = "the port is in use, perhaps by a server that runs already: stop that, or choose another; port 0 chooses one"
	case errors.Is(err, os.ErrPermission):
		code, text = "forbidden", "this user may not listen there: ports from 1024 on are for all"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		code, text = "invalid", "this machine does not have that address"
	}
	return api.NewError(code, "--listen "+f.Listen+": "+text)
}

// withPort opens the port, and then the database for the length of do. Where
// there is no port, nothing is made; who finds the database in use besides is
// told that.
func withPort(t *terminal, where *dataFlags, port *listenFlags, encrypted bool, do func(net.Listener, *api.API) error) error {
	l, refused := port.listen(encrypted)
	if refused != nil {
		if api.AsError(refused).Code != "unavailable" {
			return refused
		}
		if err := where.withData(t, reading, func(*api.API) error { return nil }); err != nil && api.AsError(err).Code == "locked" {
			return err
		}
		return refused
	}
	defer l.Close()
	return where.withData(t, making, func(opened *api.API) error { return do(l, opened) })
}

func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}

// address is where a browser on this machine finds what listens on l.
func address(l net.Listener, encrypted bool) string {
	at := l.Addr().(*net.TCPAddr)
	host := at.IP.String()
	if at.IP.IsUnspecified() {
		host = "127.0.0.1"
	}
	scheme := "http"
	if encrypted {
		scheme = "https"
	}
	return fmt.Sprintf("%s://%s", scheme, net.JoinHostPort(host, fmt.Sprint(at.Port)))
}

type serveCommand struct {
	dataFlags
	listenFlags
	TLSCert               string `name:"tls-cert" placeholder:"FILE" help:"Certificate with its chain, PEM; TLS 1.2 or later is spoken."`
	TLSKey                string `name:"tls-key" placeholder:"FILE" help:"The certificate's key, PEM."`
	ConnectionsPerAddress int    `default:"${address_connections}" placeholder:"N" help:"Connections that one address may have open, other than this machine's (default ${default}); more are closed at once."`

	Log string `enum:"debug,info,warn,error" default:"info" help:"What to log on stderr: debug, info, warn or error (default ${default})."`
}

// Help gives examples.
func (c *serveCommand) Help() string {
	return `The API and the pages. Makes the folder where it is missing. The first line on
stdout is the address, printed once it can be reached. SIGTERM and Ctrl-C end it:
what was accepted is answered, clients that do not go on are cut off, exit 0; a
second signal ends it at once.

Without --tls-cert and --tls-key it listens on this machine alone, unless
--allow-plaintext is given. A token opens it: hokan token create.

Examples:
  hokan serve --data d
  hokan serve --data d --listen 0.0.0.0:443 --tls-cert cert.pem --tls-key key.pem`
}

// Run implements the command.
func (c *serveCommand) Run(t *terminal) error {
	var encryption *tls.Config
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return api.NewError("malformed", "--tls-cert and --tls-key go together")
	}
	if c.TLSCert != "" {
		var err error
		if encryption, err = server.LoadTLS(c.TLSCert, c.TLSKey); err != nil {
			return c.cannotEncrypt(err)
		}
	}
	if c.ConnectionsPerAddress < 1 {
		return api.NewError("malformed", "--connections-per-address must be at least 1")
	}
	return withPort(t, &c.dataFlags, &c.listenFlags, encryption != nil, func(l net.Listener, opened *api.API) error {
		if len(opened.Tenants.Tokens().List()) == 0 {
			t.note("there is no token yet: stop, and hokan token create --data %s --tenant T", c.Data)
		}
		s, err := newServer(opened, newLogger(t, c.Log), encryption, server.Limits{AddressConnections: c.ConnectionsPerAddress})
		if err != nil {
			return err
		}
		fmt.Fprintf(t.stdout, "%s/\n", address(l, encryption != nil))
		if err := t.stdout.Flush(); err != nil {
			return err
		}
		return s.Serve(t.ctx, l)
	})
}

// cannotEncrypt says which file is at fault.
func (c *serveCommand) cannotEncrypt(err error) error {
	flag := "--tls-cert " + c.TLSCert + ", --tls-key " + c.TLSKey
	var of *os.PathError
	if errors.As(err, &of) {
		flag = "--tls-cert " + c.TLSCert
		if of.Path == c.TLSKey && of.Path != c.TLSCert {
			flag = "--tls-key " + c.TLSKey
		}
	}
	return api.NewError("invalid", flag+": "+reason(err))
}

// newServer makes a server with the pages. Of its connections it may have as many
// as the process's files allow.
func newServer(opened *api.API, logger *slog.Logger, encryption *tls.Config, limits server.Limits) (*server.Server, error) {
	name, _ := programVersion()
	o := server.Options{
		DB: opened.DB, Clock: opened.Clock, Logger: logger, Tokens: opened.Tenants.Tokens(), Tenants: opened.Tenants, TLS: encryption, Version: name,
		Limits: limits,
	}
	if files := mostFiles(); files > 0 {
		o.Limits.Connections = connectionsOf(files)
	}
	return server.New(o)
}

// connectionsOf is how many connections may be open in a process that may have
// so many files open: the database needs a quarter of them, and without files it
// can keep nothing.
func connectionsOf(files uint64) int {
	return int(max(1, min(files/4*3, uint64(policy.Connections.Default))))
}

func newLogger(t *terminal, level string) *slog.Logger {
	var least slog.Level
	_ = least.UnmarshalText([]byte(level)) // the parser has checked it
	return slog.New(slog.NewTextHandler(t.stderr, &slog.HandlerOptions{Level: least}))
}
