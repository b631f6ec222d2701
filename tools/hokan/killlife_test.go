package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/server/api"
	"github.com/hokan-db/hokan/server/client"
)

// reborn has a tenant of its own, whose channels it deletes and which it
// deletes itself, to make it again under the same name.
type reborn struct {
	tenant string
	killedClient
	admin   *client.Client
	alive   bool
	deletes int    // of the tenant, answered or not
	unsure  string // what of the tenant itself the last server did not answer
}

const rebornTenants = 3

func newReborn(number int, seed uint64) *reborn {
	return &reborn{tenant: fmt.Sprint("reborn", number), killedClient: *newKilledClient(killedClients+number, seed)}
}

// connect turns to a server with an administrator's token.
func (r *reborn) connect(address, token string, now int64) (err error) {
	r.turn(address, now)
	r.token = ""
	r.admin, err = client.New(address, token)
	return err
}

// enter makes a token of the tenant, where this server gave none yet.
func (r *reborn) enter() error {
	if r.token != "" {
		return nil
	}
	made, err := r.admin.CreateToken(context.Background(), api.TokenRequest{Tenant: r.tenant}, "")
	if err != nil {
		return err
	}
	return r.use(made.Token)
}

// make makes the tenant.
func (r *reborn) make() error {
	r.unsure = "make"
	if _, err := r.admin.PutTenant(context.Background(), r.tenant, api.TenantRequest{}, ""); err != nil {
		return err
	}
	r.unsure, r.alive = "", true
	return r.enter()
}

// delete deletes the tenant.
func (r *reborn) delete() error {
	r.unsure = "delete"
	r.deletes++
	_, err := r.admin.DeleteTenant(context.Background(), r.tenant, "")
	if e := new(api.Error); errors.As(err, &e) && e.Code == "not_found" && r.doubtful() {
		err = nil // the server had done it
	}
	if err != nil {
		return err
	}
	r.unsure, r.alive, r.token = "", false, ""
	r.stamp.request, r.stamp.after, r.stamp.offset, r.stamp.answered = r.sent, time.Since(r.begun), 0, true
	for _, c := range r.channels {
		c.vanish()
	}
	return nil
}

// doubtful reports whether a deletion is repeated that was not answered.
func (r *reborn) doubtful() bool { return r.unsure == "delete" }

// work changes and reads until the server is gone.
func (r *reborn) work() error {
	for {
		err := r.step()
		if isGone(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("tenant %s: %w", r.tenant, err)
		}
	}
}

func (r *reborn) step() error {
	switch {
	case !r.alive:
		return r.make()
	case r.random.IntN(25) == 0:
		return r.delete()
	}
	if err := r.enter(); err != nil {
		return err
	}
	if err := r.do(r.next()); err != nil {
		return err
	}
	if r.random.IntN(4) == 0 {
		return r.compare()
	}
	return nil
}

// next chooses what to do within the tenant.
func (r *reborn) next() *operation {
	if c := r.channels[r.random.IntN(len(r.channels))]; c.made && r.random.IntN(12) == 0 {
		return r.deleteChannel(c)
	}
	return r.killedClient.next()
}

// check compares all that the server has, having first done again what it did
// not answer of the tenant itself.
func (r *reborn) check(data string) error {
	var err error
	switch r.unsure {
	case "make":
		err = r.make()
	case "delete":
		if err = r.delete(); err == nil {
			r.doubt = nil
		}
	}
	if err != nil {
		return fmt.Errorf("tenant %s: again: %w", r.tenant, err)
	}
	if !r.alive {
		if _, err := r.admin.Tenant(context.Background(), r.tenant, ""); err == nil || api.AsError(err).Code != "not_found" {
			return fmt.Errorf("tenant %s was deleted, and then: %v", r.tenant, err)
		}
		if left, err := os.ReadDir(filepath.Join(data, disk.BlocksDir, r.tenant)); len(left) > 0 {
			return fmt.Errorf("tenant %s was deleted, and has %v (%v)", r.tenant, left, err)
		}
		return nil
	}
	if err := r.enter(); err != nil {
		return fmt.Errorf("tenant %s: %w", r.tenant, err)
	}
	if err := r.settle(r.compare); err != nil {
		return fmt.Errorf("tenant %s, deleted %d times: %w", r.tenant, r.deletes, err)
	}
	return nil
}
