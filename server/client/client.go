// Package client speaks to a Hokan server: one method per endpoint, with the
// requests and bodies of package api, so that a program cannot tell a server
// from the handlers behind it.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hokan-db/hokan/server/api"
)

// Client is a server's address and a token. It is safe for concurrent use.
type Client struct {
	base  string
	token string
	http  *http.Client
}

// idleConnections is how many connections to the server are kept open, for
// callers that write from several goroutines.
const idleConnections = 16

// New returns a client of the server at address, "http://host:port" or
// "https://host".
func New(address, token string) (*Client, error) {
	return newClient(address, token, nil)
}

// NewTrusting is New for a server whose certificate is not signed by anyone
// whom the machine trusts: config says whom to trust.
func NewTrusting(address, token string, config *tls.Config) (*Client, error) {
	return newClient(address, token, config)
}

func newClient(address, token string, config *tls.Config) (*Client, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, api.NewError("malformed", strconv.Quote(address)+" is no address of a server, such as http://127.0.0.1:4180")
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, api.NewError("malformed", "the token holds a character that no token has: is it whole, and nothing else?")
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = idleConnections
	transport.TLSClientConfig = config
	return &Client{base: strings.TrimSuffix(u.String(), "/"), token: token, http: &http.Client{
		Transport: transport,
		// The token goes to the server that was named and to no other.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Close gives up the connections that are kept open.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Do sends a request below the server's address and returns its answer, whose
// body the caller closes. An answer that is no success becomes an *api.Error.
func (c *Client) do(ctx context.Context, method, path string, query url.Values, header http.Header, body []byte) (*http.Response, error) {
	address := c.base + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		request.Header[name] = values
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if response.StatusCode/100 != 2 {
		defer response.Body.Close()
		return nil, c.refusal(response)
	}
	return response, nil
}

// unreachable names the server that gave no answer, and says what to do about
// it.
func (c *Client) unreachable(ctx context.Context, err error) error {
	if cause := ctx.Err(); cause != nil {
		return cause
	}
	var of *url.Error
	if errors.As(err, &of) {
		err = of.Err
	}
	var untrusted *tls.CertificateVerificationError
	var noTLS tls.RecordHeaderError
	var noHost *net.DNSError
	code, text := "unavailable", "no answer from "+c.base+": "+err.Error()
	switch {
	case errors.As(err, &untrusted):
		code, text = "untrusted", "the certificate of "+c.base+" is not trusted: "+untrusted.Err.Error()
		if errors.As(err, new(x509.UnknownAuthorityError)) {
			text += "; if it is the right server, name the authority that signed it, a PEM file, with --ca or in HOKAN_CA"
		}
	case errors.As(err, &noTLS), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		code, text = "invalid", c.base+" does not speak TLS: use http://"+strings.TrimPrefix(c.base, "https://")
	case errors.As(err, &noHost):
		text = "there is no host " + noHost.Name + ", of " + c.base
	case errors.Is(err, syscall.ECONNREFUSED):
		text = "nothing answers at " + c.base + ": does the server run, and is this its address?"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		text = "the connection to " + c.base + " was lost"
	}
	return api.NewError(code, text).Because(err)
}

// maxRefusal bounds what is read of an answer that tells an error.
const maxRefusal = 1 << 20

// Refusal is an answer that is no success, with all that it said.
type Refusal struct {
	Cause *api.Error    // what the handler failed with
	Body  []byte        // as sent
	After time.Duration // when to try again, 0 where nothing was said
}

// Error implements error.
func (r *Refusal) Error() string { return r.Cause.Error() }

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.Cause }

// refusal makes an error of an answer: of its problem, or of its status where
// something between refused.
func (c *Client) refusal(response *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(response.Body, maxRefusal))
	r := &Refusal{Body: text}
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil && seconds > 0 {
		r.After = time.Duration(seconds) * time.Second
	}
	var problem struct{ Code, Detail string }
	kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if kind == "application/problem+json" && json.Unmarshal(text, &problem) == nil && problem.Code != "" {
		r.Cause = api.NewError(problem.Code, problem.Detail)
		return r
	}
	switch response.StatusCode {
	case http.StatusUnprocessableEntity:
		r.Cause = api.NewError("nothing_accepted", "every sample was rejected")
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		r.Cause = api.NewError("unavailable", c.base+" answered "+response.Status)
	default:
		r.Cause = api.NewError("internal", c.base+" answered "+response.Status)
	}
	if strings.Contains(string(text), "HTTP request to an HTTPS server") {
		r.Cause = api.NewError("invalid", c.base+" speaks TLS: use https://"+strings.TrimPrefix(c.base, "http://"))
	}
	return r
}

// get asks for JSON.
func (c *Client) get(ctx context.Context, path string, query url.Values, into any) error {
	response, err := c.do(ctx, http.MethodGet, path, query, nil, nil)
	if err != nil {
		return err
	}
	return c.decode(ctx, response, into)
}

// send sends JSON and asks for JSON; into nil wants none.
func (c *Client) send(ctx context.Context, method, path string, query url.Values, body, into any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	header := http.Header{"Content-Type": {"application/json"}}
	response, err := c.do(ctx, method, path, query, header, text)
	if err != nil {
		return err
	}
	return c.decode(ctx, response, into)
}

// decode reads an answer to its end, so that its connection serves again.
func (c *Client) decode(ctx context.Context, response *http.Response, into any) error {
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return c.unreachable(ctx, err)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s answered what is no answer of a Hokan server: %w", c.base, err)
	}
	return nil
}

// values makes a query of names and values, leaving out what is empty.
func values(pairs ...string) url.Values {
	q := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	return q
}

// count is a number in a query; 0 was left out.
func count(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}
