package server

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"maps"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"github.com/hokan-db/hokan/engine"
)

// The headers by which a request names itself, so that it can be sent again, and
// the one by which an answer says that it was given before.
const (
	keyHeader      = "Idempotency-Key"
	producerHeader = "Hokan-Producer"
	sequenceHeader = "Hokan-Sequence"
	replayHeader   = "Idempotent-Replay"
)

// once lets a request that names itself be answered once: a repeat of it gets
// the answer of the first, which is durable before it is sent. What is kept is
// the answer to what was done (2xx). A refusal is not: sent again it is judged
// again. What the handler did is durable before its answer is: after a crash
// between the two a repeat does it again, which for samples changes nothing.
func (s *Server) once(a *answer, r *http.Request, handler func(http.ResponseWriter, *http.Request) error) error {
	id, err := requestID(r)
	if err != nil {
		return err
	}
	if id == (engine.RequestID{}) {
		return handler(a, r)
	}
	if a.caller.about == "" {
		return newProblem("malformed", "a "+keyHeader+" is for what is about one tenant's data, which this is not")
	}
	claim, done, err := s.options.DB.ClaimRequest(a.caller.about, id)
	sent := fingerprinted(r)
	r.Body = sent
	if done != nil {
		return s.replay(a, sent, done, err)
	}
	if err != nil {
		return claimProblem(err)
	}
	defer claim.Release()
	before := maps.Clone(a.Header())
	a.recorded = &recorded{}
	if err := handler(a, r); err != nil {
		return err // which the answer will say in place of what is recorded
	}
	given := a.recorded
	a.recorded = nil
	if given.status/100 == 2 {
		f, err := sent.sum()
		if err == nil {
			err = claim.Keep(f, given.status, headerText(before, a.Header()), given.body)
		}
		if err != nil {
			return newProblem("interrupted", "the request was done, but not what it was answered could be kept: send it again").because(err)
		}
	}
	a.WriteHeader(given.status)
	_, err = a.Write(given.body)
	return err
}

// replay answers as the receipt says, if the request is the same. refused is why
// the answer is not known any more.
func (s *Server) replay(a *answer, sent *fingerprint, done *engine.Receipt, refused error) error {
	f, err := sent.sum()
	switch {
	case err != nil:
		return err
	case f != done.Fingerprint:
		return newProblem("key_reused", "another request was sent under this name before")
	case refused != nil:
		return claimProblem(refused)
	}
	header, err := textproto.NewReader(bufio.NewReader(strings.NewReader(done.Header + "\r\n"))).ReadMIMEHeader()
	if err != nil {
		return err
	}
	maps.Copy(a.Header(), http.Header(header))
	a.Header().Set(replayHeader, "true")
	s.metrics.replayed.Inc()
	a.WriteHeader(int(done.Status))
	_, err = a.Write(done.Answer)
	return err
}

// requestID returns how a request names itself; the zero value if it does not.
func requestID(r *http.Request) (id engine.RequestID, err error) {
	if r.Method != http.MethodPost {
		return id, nil
	}
	h := r.Header
	for _, name := range []string{keyHeader, producerHeader, sequenceHeader} {
		if len(h.Values(name)) > 1 {
			return id, newProblem("malformed", "the header "+name+" is given twice")
		}
	}
	id.Key, id.Producer = h.Get(keyHeader), h.Get(producerHeader)
	sequence := h.Get(sequenceHeader)
	switch {
	case id.Key == "" && len(h.Values(keyHeader)) > 0:
		return id, newProblem("malformed", "the header "+keyHeader+" is empty")
	case id.Key != "" && id.Producer != "":
		return id, newProblem("malformed", "a request has the header "+keyHeader+" or "+producerHeader+", not both")
	case (id.Producer == "") != (sequence == ""):
		return id, newProblem("malformed", producerHeader+" and "+sequenceHeader+" go together")
	case id.Producer != "":
		if id.Sequence, err = strconv.ParseUint(sequence, 10, 63); err != nil || id.Sequence == 0 {
			return id, newProblem("malformed", sequenceHeader+" is a whole number from 1")
		}
	case id.Key == "":
		return id, nil
	}
	if err := id.Validate(); err != nil {
		return id, newProblem("malformed", keyHeader+" or "+producerHeader+": "+err.Error())
	}
	return id, nil
}

// claimProblem returns the problem of a request that is not answered because of
// its name.
func claimProblem(err error) error {
	var full *engine.ReceiptLimitError
	if errors.As(err, &full) {
		p := newProblem(full.Limit.Code, full.Error())
		p.limit, p.after = full.Limit.Name, full.After
		return p
	}
	p := problemOf(err)
	if errors.Is(err, engine.ErrInProgress) {
		told := *p
		told.Detail, told.after = "a request of this name is being answered: ask again for its answer", time.Second
		return &told
	}
	return p
}

// fingerprint is a request's body that is hashed as it is read.
type fingerprint struct {
	*body
	hash hash.Hash
}

// fingerprinted begins the fingerprint of a request with what stands before its
// body: what it asks for, and how the body is to be read.
func fingerprinted(r *http.Request) *fingerprint {
	f := &fingerprint{r.Body.(*body), sha256.New()}
	for _, text := range []string{r.URL.Path, r.URL.RawQuery, r.Header.Get("Content-Type"), r.Header.Get("Content-Encoding")} {
		io.WriteString(f.hash, text+"\n")
	}
	return f
}

// Read implements io.Reader.
func (f *fingerprint) Read(p []byte) (int, error) {
	n, err := f.body.Read(p)
	f.hash.Write(p[:n])
	return n, err
}

// sum reads what is left of the body, and returns the fingerprint of the whole.
func (f *fingerprint) sum() (sum engine.Fingerprint, err error) {
	if _, err := io.Copy(io.Discard, f); err != nil {
		return sum, err
	}
	copy(sum[:], f.hash.Sum(nil))
	return sum, nil
}

// recorded is an answer that is not sent yet.
type recorded struct {
	status int
	body   []byte
}

// notRepeated are headers of an answer that are made for each.
var notRepeated = map[string]bool{"Connection": true, "Content-Length": true, "Date": true, "Set-Cookie": true}

// headerText returns the headers that were set since before, as they are sent.
func headerText(before, now http.Header) string {
	var text strings.Builder
	_ = now.WriteSubset(&text, exclude(before)) // memory does not fail
	return text.String()
}

func exclude(before http.Header) map[string]bool {
	names := maps.Clone(notRepeated)
	for name := range before {
		names[name] = true
	}
	return names
}
