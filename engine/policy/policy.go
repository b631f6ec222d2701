// Package policy is the table of Hokan's limits. It is pure: it says how much
// is allowed and what a refusal is called, and enforces nothing itself.
package policy

import (
	"slices"
	"time"

	"github.com/hokan-db/hokan/engine/model"
)

// Limit is one bound.
type Limit struct {
	Name    string // unique, with its unit last: what settings and metrics call it
	Default int64
	Code    string // the error code or sample reason of a refusal; "" where reaching it refuses nothing
	Doc     string // one line
}

// Limits on what is asked for.
var (
	SelectorBytes = Limit{"selector_bytes", model.MaxSelectorBytes, "bad_selector",
		"bytes of a selector's text"}
	ViewChannels = Limit{"view_channels", 32, "too_many_channels",
		"channels of one view: what a chart can show"}
	ViewBuckets = Limit{"view_buckets", 10_000, "invalid",
		"buckets of one view: above the pixels of any screen"}
	TableChannels = Limit{"table_channels", 256, "too_many_channels",
		"channels of one table"}
	TableRows = Limit{"table_rows", 10_000, "invalid",
		"rows of one page of a table, or events of one page"}
	ExportChannels = Limit{"export_channels", 1024, "too_many_channels",
		"channels of one export: columns that a spreadsheet still opens"}
	QueryChannels = Limit{"query_channels", 100_000, "too_many_channels",
		"channels that one query may read: more than the largest tenant of one machine has"}
	QueryRows = Limit{"query_rows", 1_000_000_000, "bad_span",
		"rows that one view may read, of rollups too, charged before they are folded"}
)

// Limits on what is written.
var (
	EntryBytes = Limit{"entry_bytes", 1 << 20, "body_too_large",
		"bytes of one log entry; larger batches are split"}
	Labels = Limit{"labels", model.MaxLabels, "bad_label",
		"labels of one channel"}
	LabelNameBytes = Limit{"label_name_bytes", model.MaxLabelNameBytes, "bad_label",
		"bytes of a label's name"}
	LabelValueBytes = Limit{"label_value_bytes", model.MaxLabelValueBytes, "bad_label",
		"bytes of a label's value"}
	PropertyBytes = Limit{"property_bytes", 1024, "bad_label",
		"bytes of one property of a channel"}
	BodySamples = Limit{"body_samples", 4_000_000, "body_too_large",
		"times, or values, of one request that writes samples"}
	LargeBodies = Limit{"large_bodies", 8, "busy",
		"requests in progress that write samples and have more than 1 MiB unpacked; others wait"}
	TenantChannels = Limit{"tenant_channels", 1_000_000, CodeChannelLimit,
		"channels of one tenant, whatever its quota: what a machine's memory has room for"}
	TenantFiles = Limit{"tenant_files", 100_000, "over_quota",
		"uploaded files of one tenant"}
	FileNameBytes = Limit{"file_name_bytes", 1024, "invalid",
		"bytes of an uploaded file's name"}
	BodyChannels = Limit{"body_channels", 100_000, "too_many_channels",
		"channels of one request that writes samples"}
)

// Limits on what is deleted and kept.
var (
	RetentionRules = Limit{"retention_rules", 1000, "invalid",
		"rules of one tenant that say how long rows are kept"}
	Tombstones = Limit{"tombstones", 10_000, "busy",
		"deletions of one tenant whose rows are still to be removed from blocks; more are refused until compaction has done some"}
	TombstoneChannels = Limit{"tombstone_channels", 4_000_000, "busy",
		"channels that the deletions of one tenant name together, those of every channel not counted"}
	DeletionChannels = Limit{"deletion_channels", 100_000, "",
		"channels that one log entry of a deletion names; larger deletions are split"}
)

// Limits on what is kept of requests that may come again.
var (
	IdempotencyKeys = Limit{"idempotency_keys", 4096, CodeIdempotencyLimit,
		"requests of one tenant with an Idempotency-Key whose answers are kept; more are refused until the first are old enough"}
	KeyAge = Limit{"idempotency_key_age_ns", int64(24 * time.Hour), "",
		"time for which the answer to a request with an Idempotency-Key is kept"}
	KeyBytes = Limit{"idempotency_key_bytes", 255, "malformed",
		"bytes of an Idempotency-Key, or of a producer's name"}
	Producers = Limit{"producers", 10_000, CodeIdempotencyLimit,
		"producers of one tenant whose sequences are told apart; more are refused until one was idle for long enough"}
	ProducerAge = Limit{"producer_age_ns", int64(7 * 24 * time.Hour), "",
		"time after which a producer that sends nothing is forgotten"}
	ReceiptBytes = Limit{"receipt_bytes", 4 << 20, CodeIdempotencyLimit,
		"bytes of the answers that are kept of one tenant; those to producers go first"}
	AnswerKept = Limit{"answer_kept_bytes", 16 << 10, "",
		"bytes of an answer that is kept; of a larger one that it was given"}
)

// CodeIdempotencyLimit is the code of a request for whose answer there is no room.
const CodeIdempotencyLimit = "idempotency_limit"

// Limits of the HTTP server.
var (
	BodyBytes = Limit{"body_bytes", 32 << 20, "body_too_large",
		"bytes of a request's body, as sent and unpacked"}
	SmallBodyBytes = Limit{"small_body_bytes", 64 << 10, "body_too_large",
		"bytes of the body of a request that writes no samples"}
	HeaderBytes = Limit{"header_bytes", 32 << 10, "",
		"bytes of a request's headers; beyond it the answer is 431"}
	HeaderTime = Limit{"header_time_ns", int64(10 * time.Second), "",
		"time in which a request's headers must arrive; then the connection is closed"}
	RequestTime = Limit{"request_time_ns", int64(60 * time.Second), "busy",
		"time in which a request's body must arrive and be answered, streams apart"}
	ExportTime = Limit{"export_time_ns", int64(time.Hour), "busy",
		"time that an export may take; then it is cut off"}
	WriteTime = Limit{"write_time_ns", int64(30 * time.Second), "",
		"time in which a client must take each piece of an answer; then the connection is closed"}
	AnswerTime = Limit{"answer_time_ns", int64(2 * time.Minute), "",
		"time in which a client must take an answer that waits in memory; then the connection is closed"}
	SendRate = Limit{"send_bytes_per_second", 16 << 10, "",
		"bytes of an export that a client must take per second, on average; else the connection is closed"}
	IdleTime = Limit{"idle_time_ns", int64(2 * time.Minute), "",
		"time after which a connection without a request is closed"}
	ShutdownTime = Limit{"shutdown_time_ns", int64(6 * time.Second), "",
		"time that requests in progress have to end when the server stops; then they are cut off"}
	StallTime = Limit{"stall_time_ns", int64(5 * time.Second), "",
		"time in which a client must send or take something while the server stops; then the connection is closed"}
	Connections = Limit{"connections", 20_000, "",
		"open connections; others wait to be accepted"}
	AddressConnections = Limit{"address_connections", 1000, "",
		"open connections of one address; more are closed at once"}
	OpenRequests = Limit{"open_requests", 512, "busy",
		"requests in progress that show no token"}
	AddressOpenRequests = Limit{"address_open_requests", 128, "busy",
		"requests in progress of one address that show no token"}
	OpenBodyTime = Limit{"open_body_time_ns", int64(5 * time.Second), "",
		"time in which the body of a request without a valid token must arrive; then the connection is closed"}
	Requests = Limit{"requests", 1024, "busy",
		"requests in progress that show a token, streams apart"}
	TenantRequests = Limit{"tenant_requests", 256, "busy",
		"requests in progress of one tenant"}
	InFlightBytes = Limit{"in_flight_bytes", 512 << 20, "busy",
		"bytes of request bodies in progress"}
	TenantInFlightBytes = Limit{"tenant_in_flight_bytes", 128 << 20, "busy",
		"bytes of request bodies in progress of one tenant"}
	AnswerBytes = Limit{"answer_bytes", 512 << 20, "busy",
		"bytes of answers of 64 KiB or more that wait in memory for their clients"}
	TenantAnswerBytes = Limit{"tenant_answer_bytes", 128 << 20, "busy",
		"bytes of one tenant's answers that wait in memory; one that is larger is too_many_channels"}
	Streams = Limit{"streams", 2000, "busy",
		"live streams"}
	TenantStreams = Limit{"tenant_streams", 500, "busy",
		"live streams of one tenant"}
	AheadTime = Limit{"ahead_time_ns", int64(24 * time.Hour), "too_far_ahead",
		"time that a sample may lie ahead of the server's clock"}
	LiveRows = Limit{"live_rows", 65_536, "",
		"rows and alarm events that wait for one live reader; more are dropped, and it is told how many"}
	LiveBytes = Limit{"live_bytes", 4 << 20, "",
		"bytes of rows and alarm events that wait for one live reader; more are dropped, and it is told how many"}
	LiveMemory = Limit{"live_memory_bytes", 256 << 20, "",
		"bytes of rows and alarm events that wait for all live readers, and of what is noted of channels; beyond it 64 KiB may wait for each"}
)

// Limits on what is kept on the disk, in memory and in the log. Where reaching
// one refuses nothing it starts a flush or a checkpoint.
var (
	FreeReserve = Limit{"free_reserve_bytes", 1 << 30, "disk_full",
		"bytes of the disk that stay free, or a twentieth of it where that is less: with fewer, writes are refused, and reads, deletes and expiry go on"}
	Memory = Limit{"memory_bytes", 1 << 30, "busy",
		"bytes of heads, open blocks and compaction together: writes wait when it is three quarters used, and are refused when it is used up"}
	HeadRows = Limit{"head_rows", 4096, "",
		"rows of one channel in a tenant's head, beyond which the head is flushed if it has 64 times as many in all"}
	HeadMemory = Limit{"head_memory_bytes", 512 << 20, "",
		"bytes of all heads together, beyond which the largest is flushed"}
	FlushAge = Limit{"flush_age_ns", int64(6 * time.Hour), "",
		"age of the oldest row in a head, beyond which the head is flushed"}
	CheckpointBytes = Limit{"checkpoint_log_bytes", 64 << 20, "",
		"bytes of a partition's log, after which it writes a checkpoint"}
	CheckpointAge = Limit{"checkpoint_age_ns", int64(15 * time.Minute), "",
		"time after which a partition that has new entries writes a checkpoint, where its log since the last one is as long as that was; the others wait up to four times as long"}
	ReplayBytes = Limit{"replay_log_bytes", 128 << 20, "",
		"bytes of log since a partition's first entry in no checkpoint, after which it waits no longer than checkpoint_age_ns; after eight times as many it does not wait at all"}
	CompactionRate = Limit{"compaction_bytes_per_second", 64 << 20, "",
		"bytes of blocks that background work writes per second"}
	ScrubRate = Limit{"scrub_bytes_per_second", 4 << 20, "",
		"bytes of blocks, checkpoints, log and uploaded files that are read again per second, to find what has rotted; a file counts as 256 KiB more"}
)

var limits = []Limit{
	SelectorBytes, ViewChannels, ViewBuckets, TableChannels, TableRows, ExportChannels, QueryChannels, QueryRows,
	AddressConnections, OpenRequests, AddressOpenRequests, OpenBodyTime,
	AnswerTime, SendRate, StallTime, AnswerBytes, TenantAnswerBytes,
	EntryBytes, Labels, LabelNameBytes, LabelValueBytes, PropertyBytes, BodySamples, BodyChannels, LargeBodies,
	BodyBytes, SmallBodyBytes, HeaderBytes, HeaderTime, RequestTime, ExportTime, WriteTime, IdleTime, ShutdownTime,
	Connections, Requests, TenantRequests, InFlightBytes, TenantInFlightBytes, Streams, TenantStreams, AheadTime,
	LiveRows, LiveBytes, LiveMemory,
	IdempotencyKeys, KeyAge, KeyBytes, Producers, ProducerAge, ReceiptBytes, AnswerKept,
	RetentionRules, Tombstones, TombstoneChannels, DeletionChannels,
	TenantChannels, TenantFiles, FileNameBytes, FreeReserve, Memory,
	HeadRows, HeadMemory, FlushAge, CheckpointBytes, CheckpointAge, ReplayBytes, CompactionRate, ScrubRate,
}

// Limits returns every limit, as a copy.
func Limits() []Limit { return slices.Clone(limits) }
