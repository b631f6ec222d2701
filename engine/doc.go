// Package engine is Hokan's storage engine: a fold over a log.
//
// A write is durable when its log entry is. Everything else, the rows in
// memory, the blocks, the alarms and their events, the channel index, is a
// deterministic function of the log and is rebuilt from the last checkpoint
// and the log after it. There is one commit point, one order, one recovery.
//
//	Append ─► log ─► apply ─► head ──flush──► blocks
//	                   │ └─► taps, latest values
//	                   └─► alarms ─► events
//	Select, Aggregate, Summarize ◄── merge of heads and blocks
//
// # Words
//
// A tenant is an account: the unit of isolation. A channel (what others call a
// series) is one measured quantity: its labels are its identity, its
// properties may change over time. A sample is a time and a value; a quality
// is a value that says why there is no number. A batch is the unit of write,
// an entry the unit of the log, its offset the position there. A head is a
// tenant's rows that no block holds yet; a block is one immutable file of one
// tenant; a chunk is a compressed run of rows of one channel. A manifest names
// a tenant's live blocks. A partition is one of 64 virtual shards, the unit of
// apply and of checkpoints. A span is the half-open interval [from, to).
//
// # What always holds
//
//  1. An acknowledged row survives any crash; an entry that was not
//     acknowledged is wholly there or wholly absent.
//  2. Readers see only durable writes.
//  3. A tenant never sees or affects the data of another.
//  4. The same query on the same data gives the same answer, whatever has been
//     flushed, checkpointed or replayed (sums within 2^-50 of the sum of |v|).
//  5. Values come back bit for bit.
//  6. At equal channel and time the last written wins.
//  7. The same log gives the same events, each once, whatever crashes when.
//  8. A full disk, a failed sync, a torn or damaged file costs at most what it
//     touched: it is named and counted, the rest is served, and nothing is
//     repaired by deleting.
//
// # Reading the source
//
// One file per operation: open, recover, append, apply, flush, checkpoint,
// snapshot, select, aggregate, tap, alarms, verify. Start with append.go and
// apply.go, then recover.go. The bytes on disk are in FORMAT.md.
package engine
