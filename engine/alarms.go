package engine

import (
	"context"
	"fmt"

	"github.com/hokan-db/hokan/engine/alarm"
	"github.com/hokan-db/hokan/engine/entry"
	"github.com/hokan-db/hokan/engine/model"
)

// PutAlarm creates an alarm (ID 0) or gives an existing one a new version. It
// judges the rows that are written from then on, and starts clean.
func (db *DB) PutAlarm(ctx context.Context, name model.Tenant, put AlarmDefinition) (Alarm, error) {
	condition := alarm.Condition{
		Operator: alarm.Operator(put.Operator), Threshold: put.Threshold, Low: put.Low, High: put.High,
	}
	if err := condition.Validate(); err != nil {
		return Alarm{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err := db.admit(ctx); err != nil {
		return Alarm{}, err
	}
	return db.changeAlarm(name, put.ID, put.Channel, &put)
}

// SwitchAlarm enables or disables an alarm. A disabled alarm judges nothing
// and its state is frozen; enabling it starts clean.
func (db *DB) SwitchAlarm(ctx context.Context, name model.Tenant, id uint64, enabled bool) (Alarm, error) {
	return db.changeAlarm(name, id, 0, &entry.SwitchAlarm{ID: id, Enabled: enabled})
}

// DeleteAlarm removes an alarm; its events stay.
func (db *DB) DeleteAlarm(ctx context.Context, name model.Tenant, id uint64) error {
	_, err := db.changeAlarm(name, id, 0, &entry.DeleteAlarm{ID: id})
	return err
}

// changeAlarm writes an entry on the alarm id (0: a new one) and returns the
// alarm as the entry left it.
func (db *DB) changeAlarm(name model.Tenant, id uint64, channel model.ChannelID, body entry.Body) (Alarm, error) {
	t, err := db.enterTenant(name)
	if err != nil {
		return Alarm{}, err
	}
	defer db.gate.leave()
	if err := t.beginNaming(); err != nil {
		return Alarm{}, err
	}
	defer t.naming.RUnlock()
	t.mu.RLock()
	_, known := t.alarms.Get(id)
	channelKnown := t.index.Get(channel) != nil
	t.mu.RUnlock()
	if _, put := body.(*entry.PutAlarm); put && !channelKnown {
		return Alarm{}, fmt.Errorf("%w %d", ErrUnknownChannel, channel)
	}
	if id != 0 && !known {
		return Alarm{}, fmt.Errorf("%w %d", ErrUnknownAlarm, id)
	}
	offset, err := db.write(t.partition, name, &entry.Entry{Body: body})
	if err != nil {
		return Alarm{}, err
	}
	if id == 0 {
		id = offset
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	changed, _ := t.alarms.Get(id)
	return changed, nil
}

// Alarms returns t's alarms in ascending order of ID.
func (db *DB) Alarms(name model.Tenant) ([]Alarm, error) {
	t, err := db.enterTenant(name)
	if err != nil {
		return nil, err
	}
	defer db.gate.leave()
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.alarms.All(), nil
}

// Events returns a page of t's events in order of their time, and the cursor
// of the next page, "" at the end.
func (db *DB) Events(ctx context.Context, name model.Tenant, q EventQuery) (events []Event, next string, err error) {
	if _, err := db.enterTenant(name); err != nil {
		return nil, "", err
	}
	defer db.gate.leave()
	return db.catalog.Events(name, q)
}
