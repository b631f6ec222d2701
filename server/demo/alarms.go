package demo

import (
	"context"

	"github.com/hokan-db/hokan/server/api"
)

// alarms are what the plant is watched for. They are found again by name.
func alarms() []api.AlarmRequest {
	number := func(v float64) *float64 { return &v }
	return []api.AlarmRequest{
		// Goes off a little after every start of the demo.
		{Name: "Compressor current high", Match: `{instrument="PW3390-SH2",channel="Irms"}`, Operator: ">", Threshold: number(58)},
		// Every defrosting.
		{Name: "Cold store 1 too warm", Match: `{instrument="LR8450-SH1",channel="1-10"}`, Operator: ">=", Threshold: number(-15)},
		// Every cell that is worn.
		{Name: "Cell resistance high", Match: `{instrument="BT3554-BJ2",channel="R"}`, Operator: ">", Threshold: number(22)},
		// Seldom or never.
		{Name: "Mains voltage outside limits", Match: `{instrument="PW3360-BJ1",channel="Urms"}`, Operator: "outside", Low: number(380), High: number(420)},
		{Name: "Tank level", Match: `{instrument="LR8450-SH1",channel="2-15"}`, Operator: "outside_or_equal", Low: number(5), High: number(98)},
	}
}

// defineAlarms makes the alarms that are not there yet.
func (r *runner) defineAlarms(ctx context.Context) error {
	known, err := r.client.Alarms(ctx, "")
	if err != nil {
		return err
	}
	have := map[string]bool{}
	for i := range known.Alarms {
		have[known.Alarms[i].Name] = true
	}
	if len(have) > 0 {
		return nil // someone may have removed what they do not want
	}
	for _, wanted := range alarms() {
		if _, err := r.client.CreateAlarm(ctx, wanted, ""); err != nil {
			return err
		}
	}
	return nil
}
