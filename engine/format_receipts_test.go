package engine

import (
	"github.com/hokan-db/hokan/engine/entry"
	"github.com/hokan-db/hokan/engine/receipt"
)

// formatReceipt is what was answered to a request with a key.
func formatReceipt() *entry.PutReceipt {
	return &entry.PutReceipt{
		ID: receipt.ID{Key: "8e03978e"}, Fingerprint: receipt.Fingerprint{0xf0, 0xf1, 15: 0xff}, Status: 200,
		Header: "Content-Type: text/plain\r\n", Answer: []byte("ok\n"),
	}
}

// formatReceipts are a set with that receipt, and two of a producer: the answer
// of the first is not kept.
func formatReceipts() []byte {
	var s receipt.Set
	r := formatReceipt()
	s.Put(&receipt.Receipt{ID: r.ID, Fingerprint: r.Fingerprint, Time: formatTime, Status: r.Status, Header: r.Header, Answer: r.Answer}, formatTime)
	s.Put(&receipt.Receipt{ID: receipt.ID{Producer: "gw", Sequence: 299}, Time: formatTime}, formatTime)
	s.Put(&receipt.Receipt{ID: receipt.ID{Producer: "gw", Sequence: 300}, Time: formatTime, Status: 204}, formatTime)
	return s.AppendTo(nil)
}

func (d *dump) putReceipt() {
	d.counted("key")
	d.counted("producer")
	d.uvarint("sequence")
	d.take(16, "fingerprint")
	d.u16("status")
	d.counted("header")
	d.counted("answer")
}

func (d *dump) receipts() {
	d.u8("version")
	for range d.uvarint("producers") {
		d.counted("name")
		d.u64("highest sequence")
		d.u64("done: bit i is the one i before it")
		d.time("its last receipt")
	}
	for range d.uvarint("keys") {
		d.counted("key")
		d.receipt()
	}
	for range d.uvarint("sequences") {
		d.counted("name")
		d.u64("sequence")
		d.receipt()
	}
}

func (d *dump) receipt() {
	d.take(16, "fingerprint")
	d.time("time")
	d.u16("status (0: the answer is not kept)")
	d.counted("header")
	d.counted("answer")
}
