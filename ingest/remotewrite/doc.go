// Package remotewrite reads what Prometheus and its kin send by remote write:
// prometheus.WriteRequest of version 1.0 and io.prometheus.write.v2.Request of
// 2.0, unpacked.
//
// A series becomes a channel: __name__ is its channel, the label instance its
// instrument, else job, else instrument, else __name__ again. All other labels
// stay, in any order. One that is called channel or instrument and is neither
// becomes exported_channel or exported_instrument, as Prometheus itself renames
// what collides.
//
// Samples may come in any order. A stale marker is kept as it is, which is a
// sample of the quality no data. Of metadata, the unit becomes the property unit,
// the help text the name, and the type, such as counter, the scaling. That of 1.0
// is told of names, apart from samples: it is remembered as long as there is room,
// and given to what is written of that name from then on. Of several help texts
// for one name the first stays.
//
// Start timestamps are read and not kept: a sample that nobody measured would be
// one more to count. Exemplars are counted and not kept. Native histograms are
// refused, and what stands beside them is kept, as it is beside series whose
// labels cannot be those of a channel.
package remotewrite
