package engine

import (
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// testRules are one rule about raw rows.
func testRules(keep, scope, match string) policy.Rules {
	k, err := policy.ParseKeep(keep)
	if err != nil {
		panic(err)
	}
	return policy.Rules{{Scope: policy.Scope(scope), Match: match, Keep: [model.StepCount]*policy.Keep{&k}}}
}
