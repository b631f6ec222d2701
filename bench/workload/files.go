package workload

import (
	"fmt"
	"math"

	"github.com/hokan-db/hokan/engine/chunk/chunktest"
)

// Files reads the real files of instruments in folders of dir, a set for each
// source. Times are cut to milliseconds; of samples that then have the same
// time the first stays, and what is no finite number is left out, so that
// every store is given the same samples and could hold all of them.
func Files(dir string) ([]*Set, error) {
	corpus, err := chunktest.Corpus(dir)
	if err != nil {
		return nil, fmt.Errorf("real files: %w", err)
	}
	sets := make([]*Set, len(corpus))
	for i := range corpus {
		sets[i] = &Set{Name: corpus[i].Name}
		for _, series := range corpus[i].Series {
			c := Channel{Class: series.Class}
			for k, t := range series.Times {
				t /= 1e6
				v := series.Values[k]
				if n := len(c.Times); math.IsNaN(v) || math.IsInf(v, 0) || n > 0 && t <= c.Times[n-1] {
					continue
				}
				c.Times, c.Values = append(c.Times, t), append(c.Values, v)
			}
			sets[i].Channels = append(sets[i].Channels, c)
		}
	}
	return sets, nil
}
