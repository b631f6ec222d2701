package server

import (
	"sync"
	"time"
)

// Why answers are cut short.
var (
	errRevoked  = newProblem("unauthorized", "the token was revoked")
	errStopping = newProblem("busy", "the server is stopping")
)

// running is the answers in progress, so that others can end them.
type running struct {
	mu      sync.Mutex
	answers map[*answer]struct{}
	hurried bool
	none    chan struct{} // is closed when no answer is left, if not nil
}

func (r *running) enter(a *answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers[a] = struct{}{}
	a.hurried = r.hurried
}

func (r *running) leave(a *answer) {
	a.leave()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.answers, a)
	if len(r.answers) == 0 && r.none != nil {
		close(r.none)
		r.none = nil
	}
}

// identify notes whose an answer is. Who is found while a token is revoked is
// either not found or seen by revoke.
func (r *running) identify(a *answer, find func() (caller, error)) (err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a.caller, err = find()
	return err
}

// those returns the answers that are chosen.
func (r *running) those(chosen func(*answer) bool) []*answer {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []*answer
	for a := range r.answers {
		if chosen(a) {
			all = append(all, a)
		}
	}
	return all
}

// revoke ends the answers to a token.
func (r *running) revoke(id string) {
	for _, a := range r.those(func(a *answer) bool { return a.caller.ID == id }) {
		a.end(errRevoked)
	}
}

// hurry ends the streams, and gives up clients that do not progress.
func (r *running) hurry() {
	r.mu.Lock()
	r.hurried = true
	r.mu.Unlock()
	for _, a := range r.those(func(*answer) bool { return true }) {
		a.hurry()
	}
}

// stop ends all answers.
func (r *running) stop() (cut int) {
	all := r.those(func(*answer) bool { return true })
	for _, a := range all {
		a.end(errStopping)
	}
	return len(all)
}

// wait waits until no answer is left, and returns how many are.
func (r *running) wait(most time.Duration) (left int) {
	r.mu.Lock()
	none := make(chan struct{})
	if len(r.answers) == 0 {
		close(none)
	} else {
		r.none = none
	}
	r.mu.Unlock()
	select {
	case <-none:
		return 0
	case <-time.After(most):
		return len(r.those(func(*answer) bool { return true }))
	}
}
