package policy

// Quota is what one tenant may use. 0 means that there is no limit.
type Quota struct {
	// Bytes are charged bytes: of rows and of uploaded files. The engine only
	// refuses files beyond them; what else happens is the service's to decide.
	Bytes uint64
	// Channels and ChannelsPerInstrument bound the channels that exist. Those
	// that exist already keep flowing, however many they are.
	Channels, ChannelsPerInstrument int
	// SamplesPerSecond is for the service to hold to; the engine keeps it.
	SamplesPerSecond int
}

// The codes of refused columns.
const (
	CodeChannelLimit    = "channel_limit"
	CodeInstrumentLimit = "instrument_limit"
)
