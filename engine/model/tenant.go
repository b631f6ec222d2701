package model

import (
	"errors"
	"fmt"
	"hash/fnv"
)

// Partitions is the number of virtual shards that tenants are spread over. It
// is part of the on-disk format: a tenant's entries, checkpoint and record are
// found by its partition.
const Partitions = 64

// Partition is one of the virtual shards, 0 to Partitions-1.
type Partition uint8

// MaxTenantBytes bounds a tenant's name, which is also a folder name.
const MaxTenantBytes = 64

// ErrBadTenant is wrapped by every refusal of a tenant's name.
var ErrBadTenant = errors.New("bad tenant name")

// Tenant names an account: the unit of isolation, quota, key, backup and
// deletion. A valid name has 1 to MaxTenantBytes bytes of a-z, A-Z, 0-9, '_',
// '-' and '.', and does not begin with '.', so that it is a safe folder name.
type Tenant string

// Validate reports why t cannot name a tenant; the error wraps ErrBadTenant.
func (t Tenant) Validate() error {
	if len(t) == 0 {
		return fmt.Errorf("%w: empty", ErrBadTenant)
	}
	if len(t) > MaxTenantBytes {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrBadTenant, len(t), MaxTenantBytes)
	}
	if t[0] == '.' {
		return fmt.Errorf("%w %q: begins with a dot", ErrBadTenant, string(t))
	}
	for i := 0; i < len(t); i++ {
		c := t[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && !(c >= '0' && c <= '9') && c != '_' && c != '-' && c != '.' {
			return fmt.Errorf("%w %q: byte %d is not a letter, digit, '_', '-' or '.'", ErrBadTenant, string(t), i)
		}
	}
	return nil
}

// Partition returns the shard that t belongs to: the 64-bit FNV-1a hash of its
// name, modulo Partitions. It never changes for a name.
func (t Tenant) Partition() Partition {
	h := fnv.New64a()
	h.Write([]byte(t))
	return Partition(h.Sum64() % Partitions)
}
