// Package block writes and reads block files: the immutable columns of one
// tenant's channels over a span of time. A block can be read by itself: it
// carries its channels' labels and properties beside their rows. See format.go
// for every byte.
package block
