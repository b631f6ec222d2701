package server

import (
	"context"
	"sync"
	"time"

	"github.com/hokan-db/hokan/engine/policy"
)

// kind is how long a client may take to read an answer.
type kind int

const (
	whole   kind = iota // it waits in memory: AnswerTime in all
	steady              // it is made while it is sent: SendRate at least
	endless             // what there is of it at a time: WriteTime
)

// pace bounds the time that a client may take. Other goroutines hurry an
// answer or end it.
type pace struct {
	control   control
	limits    *Limits
	kind      kind
	begun     time.Time     // when the first piece was sent
	waited    time.Duration // for the client to take pieces
	lastWords time.Duration // how long an answer that is cut short may still be sent
	limit     string        // that bounds the piece being sent

	mu      sync.Mutex
	pending bool                    // the request's body is not there yet
	sending bool                    // a piece waits for the client
	cancel  context.CancelCauseFunc // of the handler's context
	hurried bool                    // the server stops
	ended   *Problem                // why it is cut short
	endedBy time.Time               // what remains must be taken by then
	over    bool                    // the connection is no longer this answer's
}

// control sets deadlines. What has none is a test's recorder, whose errors
// tell nothing.
type control interface {
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
	Flush() error
}

// begin says how the answer is made, and what ends its handler.
func (p *pace) begin(k kind, cancel context.CancelCauseFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kind, p.cancel = k, cancel
	switch {
	case p.ended != nil:
		cancel(p.ended)
	case p.hurried && k == endless:
		p.endLocked(errStopping)
	}
}

// push sends a piece within its time: sent is what was before it.
func (p *pace) push(sent int64, send func() error) error {
	begun := time.Now()
	p.mu.Lock()
	p.sending = true
	p.allow(begun, sent)
	p.mu.Unlock()
	err := send()
	p.mu.Lock()
	p.sending = false
	p.waited += time.Since(begun)
	p.mu.Unlock()
	return err
}

// extend gives the client its time to take what follows.
func (p *pace) extend(sent int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.allow(time.Now(), sent)
}

// allow sets the deadline of the next piece. The caller holds mu.
func (p *pace) allow(now time.Time, sent int64) {
	left, limit := p.limits.WriteTime, policy.WriteTime.Name
	if p.begun.IsZero() {
		p.begun = now
	}
	switch p.kind {
	case whole:
		if most := p.limits.AnswerTime - now.Sub(p.begun); most < left {
			left, limit = most, policy.AnswerTime.Name
		}
	case steady:
		// Time that the server took itself does not count.
		owed := time.Duration(float64(sent) / float64(p.limits.SendRate) * float64(time.Second))
		if most := p.limits.WriteTime + owed - p.waited; most < left {
			left, limit = most, policy.SendRate.Name
		}
	}
	p.limit = limit
	_ = p.setWriteDeadline(now.Add(left))
}

// setWriteDeadline sets a deadline, or the sooner one that holds for an answer
// that is hurried or ended. The caller holds mu.
func (p *pace) setWriteDeadline(until time.Time) error {
	if p.over {
		return nil
	}
	if p.hurried {
		until = sooner(until, time.Now().Add(p.limits.StallTime))
	}
	return p.control.SetWriteDeadline(sooner(until, p.endedBy))
}

// sooner returns the earlier of two deadlines, of which zero is none.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// SetWriteDeadline lets http.ResponseController set a deadline.
func (p *pace) SetWriteDeadline(until time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.setWriteDeadline(until)
}

// SetReadDeadline lets http.ResponseController set a deadline.
func (p *pace) SetReadDeadline(until time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return nil
	}
	return p.control.SetReadDeadline(sooner(until, p.endedBy))
}

// await gives a request's body its time to arrive.
func (p *pace) await(most time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pending = true
	if p.hurried {
		most = min(most, p.limits.StallTime)
	}
	_ = p.control.SetReadDeadline(sooner(time.Now().Add(most), p.endedBy))
}

// received notes that a piece of the body came.
func (p *pace) received() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hurried && p.ended == nil {
		_ = p.control.SetReadDeadline(time.Now().Add(p.limits.StallTime))
	}
}

// watch lets the connection be watched for the client's leaving, without a
// bound: a deadline would be taken for that. The request has no more to come.
func (p *pace) watch() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pending = false
	_ = p.control.SetReadDeadline(time.Time{})
}

// hurry lets a stream end, and gives up a client that does not progress.
func (p *pace) hurry() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over || p.hurried {
		return
	}
	p.hurried = true
	soon := time.Now().Add(p.limits.StallTime)
	switch {
	case p.kind == endless:
		p.endLocked(errStopping)
	case p.pending:
		_ = p.control.SetReadDeadline(soon)
	case p.sending:
		_ = p.setWriteDeadline(soon)
	}
}

// end cuts the answer short: its handler is called off, and what it still
// sends must be taken soon.
func (p *pace) end(why *Problem) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.endLocked(why)
}

func (p *pace) endLocked(why *Problem) {
	if p.over || p.ended != nil {
		return
	}
	now := time.Now()
	p.ended, p.endedBy = why, now.Add(p.lastWords)
	if p.cancel != nil {
		p.cancel(why)
	}
	if p.pending {
		_ = p.control.SetReadDeadline(now)
	}
	if p.sending {
		_ = p.setWriteDeadline(p.endedBy)
	}
}

// why returns why the answer is cut short, nil if it is not.
func (p *pace) why() *Problem {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended
}

// leave ends the answer's hold of its connection.
func (p *pace) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
}
