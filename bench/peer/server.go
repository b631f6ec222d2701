package peer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

const (
	startTime = 2 * time.Minute // in which a server must answer
	stopTime  = 2 * time.Minute // in which it must end
	pollTime  = time.Millisecond
)

// server is a store's server in a process of its own, and a client of it.
type server struct {
	command *exec.Cmd
	gone    chan struct{} // closed when the process has ended
	ended   error         // why, once gone is closed
	base    string        // http://127.0.0.1:port
	client  *http.Client
	header  http.Header // of every request
}

// freePort finds an address on the loopback that nothing listens on.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// startServer runs a program that listens on address, and returns when it
// answers a GET of ready. What it says goes to a file beside its folder.
func startServer(address, ready, dir, program string, arguments ...string) (*server, error) {
	s := &server{command: exec.Command(program, arguments...), gone: make(chan struct{}), base: "http://" + address,
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: inFlight, DisableCompression: true}}, header: http.Header{}}
	log, err := os.OpenFile(dir+".log", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	s.command.Stdout, s.command.Stderr = log, log
	if err := s.command.Start(); err != nil {
		return nil, err
	}
	go func() {
		s.ended = s.command.Wait()
		close(s.gone)
	}()
	poll, deadline := time.NewTicker(pollTime), time.After(startTime)
	defer poll.Stop()
	for {
		select {
		case <-s.gone:
			said, _ := os.ReadFile(log.Name())
			return nil, fmt.Errorf("%s ended: %w: %s", filepath.Base(program), s.ended, lastBytes(said))
		case <-deadline:
			return nil, errors.Join(fmt.Errorf("%s does not answer within %v", filepath.Base(program), startTime), s.command.Process.Kill())
		case <-poll.C:
			if answer, err := s.client.Get(s.base + ready); err == nil {
				answer.Body.Close()
				if answer.StatusCode/100 == 2 {
					return s, nil
				}
			}
		}
	}
}

// lastBytes is the end of a log, as much as an error message bears.
func lastBytes(text []byte) []byte { return text[max(0, len(text)-500):] }

// Process is the server's.
func (s *server) Process() int { return s.command.Process.Pid }

// Kill ends the server without warning.
func (s *server) Kill() error {
	err := s.command.Process.Kill()
	<-s.gone
	return err
}

// Close asks the server to end and waits until it has.
func (s *server) Close() error {
	s.client.CloseIdleConnections()
	if err := s.command.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-s.gone:
		return nil
	case <-time.After(stopTime):
		return errors.Join(fmt.Errorf("process %d does not end within %v", s.Process(), stopTime), s.command.Process.Kill())
	}
}

// do sends a request and returns the body of an answer that is a success; the
// caller closes it.
func (s *server) do(method, path string, query url.Values, body []byte, header ...string) (io.ReadCloser, error) {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	request, err := http.NewRequest(method, s.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, values := range s.header {
		request.Header[name] = values
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	answer, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode/100 != 2 {
		defer answer.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 300))
		return nil, fmt.Errorf("%s answered %s: %s", path, answer.Status, text)
	}
	return answer.Body, nil
}

// get reads a whole answer.
func (s *server) get(path string, query url.Values) ([]byte, error) {
	body, err := s.do(http.MethodGet, path, query, nil)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}

// post sends a body and drops the answer.
func (s *server) post(path string, query url.Values, body []byte, header ...string) error {
	answer, err := s.do(http.MethodPost, path, query, body, header...)
	if err != nil {
		return err
	}
	defer answer.Close()
	_, err = io.Copy(io.Discard, answer)
	return err
}

// copyTo writes an answer as it comes.
func (s *server) copyTo(w io.Writer, path string, query url.Values, header ...string) error {
	answer, err := s.do(http.MethodGet, path, query, nil, header...)
	if err != nil {
		return err
	}
	defer answer.Close()
	_, err = io.Copy(w, answer)
	return err
}
