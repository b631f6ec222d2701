package tenants

import "time"

// Kind is what a notice is about.
type Kind string

// The kinds.
const (
	KindCapacityLow       Kind = "capacity_low"        // less than a tenth of the quota is left
	KindOverQuota         Kind = "over_quota"          // more is charged than the quota allows; a deadline runs
	KindOverQuotaDeadline Kind = "over_quota_deadline" // the deadline has come and it is still so
	KindDeleted           Kind = "deleted"             // samples or files were deleted because of a clock
	KindTenantDeleted     Kind = "tenant_deleted"      // with all that it had
	KindAlarm             Kind = "alarm"               // an alarm started or ended
)

// Notice is something that somebody should be told.
type Notice struct {
	Kind   Kind
	Detail Detail
}

// Detail is what there is to say. Which members are set follows from the kind.
type Detail struct {
	Used     uint64    `json:"used,omitempty"`     // bytes that are charged
	Quota    uint64    `json:"quota,omitempty"`    // bytes
	Deadline time.Time `json:"deadline,omitzero"`  // when something happens
	Policy   OverQuota `json:"policy,omitempty"`   // what happens then, or happened
	Bytes    uint64    `json:"bytes,omitempty"`    // deleted
	Channels int       `json:"channels,omitempty"` // deleted
	Reason   Reason    `json:"reason,omitempty"`   // of a deletion
	// CopiesBy is when the last copy of what was deleted is gone too, where
	// copies are kept longer.
	CopiesBy time.Time `json:"copies_by,omitzero"`
}

// Reason is why a tenant or a file is deleted.
type Reason string

// The reasons.
const (
	ReasonRequest   Reason = "request"   // somebody asked for it
	ReasonTrial     Reason = "trial"     // the trial's days are over
	ReasonContract  Reason = "contract"  // the contract has ended, and its term
	ReasonRetention Reason = "retention" // files older than the plan keeps
)
