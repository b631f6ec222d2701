package tenants

// SetOutboxLimits lets the outbox keep so many notices, and of one tenant.
func (s *Store) SetOutboxLimits(all, tenant int) { s.out.limits.all, s.out.limits.tenant = all, tenant }
