package otlp

// Transcode returns what a body as JSON is as protobuf.
func Transcode(body []byte) ([]byte, error) { return transcode(nil, body) }
