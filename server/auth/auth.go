// Package auth keeps the tokens that open the API. A token belongs to one
// tenant, or is the administrator's. Its secret is shown once, when it is
// made; what is stored is the secret's SHA-256.
package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/server/rate"
)

// What callers branch on.
var (
	ErrUnknown    = errors.New("unknown token") // never made, or revoked
	ErrInvalid    = errors.New("invalid token request")
	ErrNotDurable = errors.New("token is void only until the database is opened again")
)

// Scope is what a token may do with its tenant's data.
type Scope string

// The scopes.
const (
	Read  Scope = "read"
	Write Scope = "write"
	Both  Scope = "both"
)

// CanRead reports whether the scope lets its holder see data.
func (s Scope) CanRead() bool { return s == Read || s == Both }

// CanWrite reports whether the scope lets its holder change data.
func (s Scope) CanWrite() bool { return s == Write || s == Both }

// Token is what is known of a token, its secret apart.
type Token struct {
	ID      string       `json:"id"`     // 16 hex digits, no secret
	Tenant  model.Tenant `json:"tenant"` // "" for an administrator's
	Name    string       `json:"name"`   // for people
	Scope   Scope        `json:"scope"`  // "" for an administrator's
	Admin   bool         `json:"admin"`
	Created time.Time    `json:"created"`
	// SamplesPerSecond is how many may be written with it, on average, besides
	// what its tenant may; 0 is no limit of its own.
	SamplesPerSecond uint64 `json:"samples_per_second,omitempty"`
}

// Prefix begins every secret, so that one is recognised where it leaks.
const Prefix = "hkn_"

const (
	secretBytes  = 32   // of randomness in a secret
	idBytes      = 8    // of a token's ID
	maxNameBytes = 256  // of a token's name
	maxTextBytes = 1024 // of what is looked up: longer is no secret
)

// keyPrefix begins the keys of the records that hold tokens: the record of the
// token ID is at keyPrefix+ID, JSON of stored.
const keyPrefix = "token/"

// stored is a token as it is kept.
type stored struct {
	Token
	Hash string `json:"hash"` // SHA-256 of the secret in hex
}

// Store is the tokens of one database. It is safe for concurrent use.
type Store struct {
	db    *engine.DB
	clock model.Clock

	change  sync.Mutex        // one Create or Revoke at a time; guards the next two
	onDisk  map[string]bool   // IDs of revoked tokens whose records could not be removed
	revoked []func(id string) // are told of revocations

	mu     sync.RWMutex
	byHash map[[sha256.Size]byte]Token
	rates  map[string]*rate.Limiter // by ID, of the tokens that have one
}

// Open reads the tokens of db.
func Open(db *engine.DB, clock model.Clock) (*Store, error) {
	s := &Store{db: db, clock: clock, byHash: map[[sha256.Size]byte]Token{}, rates: map[string]*rate.Limiter{}, onDisk: map[string]bool{}}
	err := db.Records(keyPrefix, func(key string, value []byte) error {
		var record stored
		if err := json.Unmarshal(value, &record); err != nil {
			return fmt.Errorf("%w: record %s: %w", engine.ErrCorrupt, key, err)
		}
		hash, err := hex.DecodeString(record.Hash)
		if err != nil || len(hash) != sha256.Size || keyPrefix+record.ID != key || record.SamplesPerSecond > rate.Most {
			return fmt.Errorf("%w: record %s holds no token", engine.ErrCorrupt, key)
		}
		s.know([sha256.Size]byte(hash), record.Token)
		return nil
	})
	return s, err
}

// know adds a token to those that are found.
func (s *Store) know(hash [sha256.Size]byte, t Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byHash[hash] = t
	if l := rate.New(rate.Token, int(t.SamplesPerSecond)); l != nil {
		s.rates[t.ID] = l
	}
}

// Create makes a token from its tenant, name, scope ("" is both), rate and whether
// it is the administrator's, and makes the tenant where it is missing. The
// secret is known to the caller alone; the token is durable on return.
func (s *Store) Create(ctx context.Context, t Token) (secret string, made Token, err error) {
	if err := check(&t); err != nil {
		return "", Token{}, err
	}
	s.change.Lock()
	defer s.change.Unlock()
	if !t.Admin && !s.db.HasTenant(t.Tenant) {
		if err := s.db.CreateTenant(ctx, t.Tenant); err != nil {
			return "", Token{}, err
		}
	}
	var random [secretBytes + idBytes]byte
	rand.Read(random[:]) // never fails
	secret = Prefix + base64.RawURLEncoding.EncodeToString(random[:secretBytes])
	t.ID = hex.EncodeToString(random[secretBytes:])
	t.Created = s.clock().UTC().Truncate(time.Millisecond)
	hash := sha256.Sum256([]byte(secret))
	value, err := json.Marshal(stored{t, hex.EncodeToString(hash[:])})
	if err != nil {
		return "", Token{}, err
	}
	if err := s.db.PutRecord(ctx, keyPrefix+t.ID, value); err != nil {
		return "", Token{}, err
	}
	s.know(hash, t)
	return secret, t, nil
}

// check completes what a token is made from.
func check(t *Token) error {
	if len(t.Name) > maxNameBytes {
		return fmt.Errorf("%w: its name has %d bytes, at most %d", ErrInvalid, len(t.Name), maxNameBytes)
	}
	if t.SamplesPerSecond > rate.Most {
		return fmt.Errorf("%w: a rate of %d samples per second, at most %d", ErrInvalid, t.SamplesPerSecond, uint64(rate.Most))
	}
	if t.Admin {
		if t.Tenant != "" || t.Scope != "" || t.SamplesPerSecond != 0 {
			return fmt.Errorf("%w: an administrator's token has neither tenant nor scope nor samples per second", ErrInvalid)
		}
		return nil
	}
	if t.Scope == "" {
		t.Scope = Both
	}
	if !t.Scope.CanRead() && !t.Scope.CanWrite() {
		return fmt.Errorf("%w: scope %q is none of read, write, both", ErrInvalid, t.Scope)
	}
	if t.SamplesPerSecond != 0 && !t.Scope.CanWrite() {
		return fmt.Errorf("%w: a token that only reads has no samples per second", ErrInvalid)
	}
	if err := t.Tenant.Validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil
}

// List returns the tokens, oldest first.
func (s *Store) List() []Token {
	s.mu.RLock()
	all := make([]Token, 0, len(s.byHash))
	for _, t := range s.byHash {
		all = append(all, t)
	}
	s.mu.RUnlock()
	slices.SortFunc(all, func(a, b Token) int {
		if order := a.Created.Compare(b.Created); order != 0 {
			return order
		}
		return strings.Compare(a.ID, b.ID)
	})
	return all
}

// Revoke makes a token void, at once and durably. The token is void and those
// who asked for it are told before the disk is: where that fails the error is
// ErrNotDurable, and Revoke can be tried again.
func (s *Store) Revoke(ctx context.Context, id string) error {
	s.change.Lock()
	defer s.change.Unlock()
	if s.forget(id) {
		s.onDisk[id] = true
		for _, tell := range s.revoked {
			tell(id)
		}
	}
	if !s.onDisk[id] {
		return fmt.Errorf("%w: no token has the ID %.40q", ErrUnknown, id)
	}
	// Who asks may be gone, or have revoked the token that is asked with.
	if err := s.db.DeleteRecord(context.WithoutCancel(ctx), keyPrefix+id); err != nil {
		return fmt.Errorf("%w: %w", ErrNotDurable, err)
	}
	delete(s.onDisk, id)
	return nil
}

// forget drops a token from memory and reports whether it was there.
func (s *Store) forget(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for hash, t := range s.byHash {
		if t.ID == id {
			delete(s.byHash, hash)
			delete(s.rates, id)
			return true
		}
	}
	return false
}

// OnRevoke lets tell be called with the ID of every token that is revoked from
// now on, after Lookup has ceased to find it. It must not call the store.
func (s *Store) OnRevoke(tell func(id string)) {
	s.change.Lock()
	defer s.change.Unlock()
	s.revoked = append(s.revoked, tell)
}

// Lookup returns the token whose secret is given, or ErrUnknown. How long it
// takes tells nothing of other secrets: they are found by their hash.
func (s *Store) Lookup(secret string) (Token, error) {
	if len(secret) > maxTextBytes {
		return Token{}, ErrUnknown
	}
	hash := sha256.Sum256([]byte(secret))
	s.mu.RLock()
	t, ok := s.byHash[hash]
	s.mu.RUnlock()
	if !ok {
		return Token{}, ErrUnknown
	}
	return t, nil
}

// Owed refuses whatever samples come too fast with the token of that ID, before
// anybody looks at them: a *rate.Error where those before are not paid for.
func (s *Store) Owed(id string) error { return s.rate(id).Owed(s.clock()) }

// Take lets so many samples in with the token of that ID. What they take beyond
// its rate later ones wait for.
func (s *Store) Take(id string, samples int) { s.rate(id).Take(s.clock(), samples) }

// rate returns what holds a token to its rate, nil if it has none.
func (s *Store) rate(id string) *rate.Limiter {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.rates[id]
}
