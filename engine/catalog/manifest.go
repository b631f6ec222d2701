package catalog

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hokan-db/hokan/engine/block"
	"github.com/hokan-db/hokan/engine/model"
)

// Manifest is the set of a tenant's live blocks. The zero value, revision 0,
// is the manifest of a tenant that never had a block.
type Manifest struct {
	Revision  uint64
	Epoch     uint64
	FlushedTo uint64 // every row of an entry up to this offset is in Blocks
	// Blocks are loaded in the order of their names and may be committed in
	// any. A block never changes: a name that is stored already is left as it
	// is stored, unless it is in Changed.
	Blocks []block.Meta
	// Dropped are the names of blocks whose rows nobody can read any more, so
	// that no other block holds them: where their files still are, they go.
	Dropped []string
	// Changed are the names of blocks of which more is known than is stored. It
	// is not stored itself.
	Changed []string
}

// manifestHead is the stored part of a manifest that is not its blocks. These
// have records of their own, so that a flush writes what it added and not a
// list of thousands.
type manifestHead struct {
	Revision, Epoch, FlushedTo uint64
	Blocks                     uint64   // number of block records
	Sum                        uint64   // sum of their checksums: tells whether one is missing
	Dropped                    []string `msgpack:",omitempty"`
}

// PutManifest changes t's manifest. A block that m does not name is forgotten.
func PutManifest(t model.Tenant, m Manifest) Change {
	return Change{func(c *Catalog, batch *pebble.Batch) error {
		var stored manifestHead
		key := manifestKey(t)
		if _, err := c.get(batch, key, &stored); err != nil {
			return err
		}
		if err := follows(stored.Revision, m.Revision); err != nil {
			return fmt.Errorf("manifest of %s: %w", t, err)
		}
		blocks, err := sortedByName(m.Blocks)
		if err != nil {
			return fmt.Errorf("manifest of %s: %w", t, err)
		}
		sum, err := c.stageBlocks(batch, tenantKey(keyBlock, t), blocks, m.Changed)
		if err != nil {
			return err
		}
		return put(batch, key, &manifestHead{m.Revision, m.Epoch, m.FlushedTo, uint64(len(blocks)), sum, m.Dropped})
	}}
}

// sortedByName returns blocks in the order of their names, each once.
func sortedByName(blocks []block.Meta) ([]block.Meta, error) {
	byName := func(a, b block.Meta) int { return strings.Compare(a.Name, b.Name) }
	if !slices.IsSortedFunc(blocks, byName) {
		blocks = slices.Clone(blocks)
		slices.SortFunc(blocks, byName)
	}
	for i := 1; i < len(blocks); i++ {
		if blocks[i].Name == blocks[i-1].Name {
			return nil, fmt.Errorf("block %s is named twice", blocks[i].Name)
		}
	}
	return blocks, nil
}

// stageBlocks changes the block records under prefix to blocks and returns the
// sum of their checksums. It walks both in the order of names.
func (c *Catalog) stageBlocks(batch *pebble.Batch, prefix []byte, blocks []block.Meta, changed []string) (uint64, error) {
	var sum uint64
	var gone [][]byte // deleted afterwards: the scan reads the batch
	var added []block.Meta
	err := c.scan(batch, prefix, keyAfter(prefix), func(key, value []byte) (bool, error) {
		name := key[len(prefix):]
		for len(blocks) > 0 && blocks[0].Name < string(name) {
			added = append(added, blocks[0])
			blocks = blocks[1:]
		}
		if len(blocks) == 0 || blocks[0].Name != string(name) {
			gone = append(gone, bytes.Clone(key))
			return true, nil
		}
		if slices.Contains(changed, blocks[0].Name) {
			added = append(added, blocks[0])
			blocks = blocks[1:]
			return true, nil
		}
		blocks = blocks[1:]
		if len(value) < checksumBytes {
			return false, c.badRecord(key, errShort)
		}
		sum += uint64(binary.LittleEndian.Uint32(value))
		return true, nil
	})
	if err != nil {
		return 0, err
	}
	for _, key := range gone {
		if err := batch.Delete(key, nil); err != nil {
			return 0, err
		}
	}
	for _, list := range [][]block.Meta{added, blocks} {
		for i := range list {
			key := append(prefix[:len(prefix):len(prefix)], list[i].Name...)
			value, err := encodeRecord(key, &list[i])
			if err != nil {
				return 0, fmt.Errorf("record %q: %w", key, err)
			}
			sum += uint64(binary.LittleEndian.Uint32(value))
			if err := batch.Set(key, value, nil); err != nil {
				return 0, err
			}
		}
	}
	return sum, nil
}

// LoadManifest returns t's manifest.
func (c *Catalog) LoadManifest(t model.Tenant) (Manifest, error) {
	if err := c.enter(); err != nil {
		return Manifest{}, err
	}
	defer c.leave()
	snapshot := c.db.NewSnapshot()
	defer snapshot.Close()
	var head manifestHead
	found, err := c.get(snapshot, manifestKey(t), &head)
	if err != nil || !found {
		return Manifest{}, err
	}
	var m Manifest
	prefix := tenantKey(keyBlock, t)
	err = c.iterate(snapshot, prefix, keyAfter(prefix), func(records *pebble.Iterator) (err error) {
		m, err = c.loadBlocks(records, t, head)
		return err
	})
	return m, err
}

// Manifests visits every tenant's manifest in the order of their names, as
// they were when it was called.
func (c *Catalog) Manifests(visit func(model.Tenant, Manifest) error) error {
	if err := c.enter(); err != nil {
		return err
	}
	defer c.leave()
	snapshot := c.db.NewSnapshot()
	defer snapshot.Close()
	blocks := []byte{keyBlock}
	return c.iterate(snapshot, blocks, keyAfter(blocks), func(records *pebble.Iterator) error {
		prefix := []byte{keyManifest}
		return c.scan(snapshot, prefix, keyAfter(prefix), func(key, value []byte) (bool, error) {
			var head manifestHead
			if err := decodeRecord(key, value, &head); err != nil {
				return false, c.badRecord(key, err)
			}
			tenant := model.Tenant(key[1:])
			manifest, err := c.loadBlocks(records, tenant, head)
			if err != nil {
				return false, err
			}
			return true, visit(tenant, manifest)
		})
	})
}

// loadBlocks completes head with its blocks, from an iterator that reaches all
// of them.
func (c *Catalog) loadBlocks(records *pebble.Iterator, t model.Tenant, head manifestHead) (Manifest, error) {
	m := Manifest{Revision: head.Revision, Epoch: head.Epoch, FlushedTo: head.FlushedTo, Dropped: head.Dropped}
	var sum uint64
	prefix := tenantKey(keyBlock, t)
	err := c.visit(records, prefix, func(key, value []byte) (bool, error) {
		if !bytes.HasPrefix(key, prefix) {
			return false, nil
		}
		m.Blocks = append(m.Blocks, block.Meta{})
		if err := decodeRecord(key, value, &m.Blocks[len(m.Blocks)-1]); err != nil {
			return false, c.badRecord(key, err)
		}
		sum += uint64(binary.LittleEndian.Uint32(value))
		return true, nil
	})
	if err != nil {
		return Manifest{}, err
	}
	if uint64(len(m.Blocks)) != head.Blocks || sum != head.Sum {
		return Manifest{}, c.badRecord(manifestKey(t), fmt.Errorf("has %d blocks, %d are stored or their checksums differ",
			head.Blocks, len(m.Blocks)))
	}
	return m, nil
}
