package etcd

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

func (r *repairer) plan() error {
	info, err := r.src.DB().Info(r.c.Context)
	if err != nil {
		return err
	}
	alarms, err := r.src.DB().Alarms()
	if err != nil {
		return err
	}
	var steps []string
	if r.do.Compact {
		steps = append(steps, fmt.Sprintf("compact to revision %d of %d", max(0, info.Revision-r.do.Keep), info.Revision))
	}
	if r.do.Disarm || r.src.Replay() != nil {
		steps = append(steps, fmt.Sprintf("clear %d alarms", len(alarms)))
	}
	if r.do.Defrag {
		steps = append(steps, fmt.Sprintf("write %s in use anew, of %s", humanize.Bytes(uint64(info.SizeInUse)), humanize.Bytes(uint64(info.Size))))
	}
	steps = append(steps, "check it against SRC, key by key")
	if r.src.Replay() == nil {
		steps = append(steps, "write "+r.to)
		err = r.refuse()
	} else {
		var rs *restorer
		var plan *datadir.RestorePlan
		if rs, plan, err = r.planDir(r.src.DB(), r.src.File()); err == nil {
			steps = slices.Concat(steps, plan.Steps(), rs.explained)
		}
	}
	if err != nil {
		return lifeboat.HintTarget(err)
	}
	if r.env.Format != console.FormatTable {
		return r.env.PrintDocument(map[string]any{"plan": steps, "before": info, "alarms": alarms, "time": time.Now().UTC()})
	}
	out := console.NewSection(r.env)
	out.Line("Plan (nothing is written):")
	for _, step := range steps {
		out.Line("  %s", console.Printable(step))
	}
	return out.Err
}

func (r *repairer) print(report repairReport) error {
	out := console.NewSection(r.env)
	b, a := report.Before, report.After
	out.Table([][]string{
		{"STATE", "DB SIZE", "IN USE", "RECORDS", "KEYS", "COMPACTED"},
		sizesOf("before", b),
		sizesOf("after", a),
	})
	var names []string
	for _, alarm := range report.Alarms {
		names = append(names, fmt.Sprintf("%s of member %x", alarm.Alarm, alarm.MemberID))
	}
	switch {
	case len(names) == 0:
		out.Line("no alarm was raised")
	case r.do.Disarm || r.src.Replay() != nil:
		out.Line("disarmed: %s", strings.Join(names, ", "))
	default:
		out.Line("still raised: %s (--disarm clears)", strings.Join(names, ", "))
	}
	out.Line("wrote %s", console.Printable(r.to))
	printUndo(out, r.to, report.Aside)
	if report.DataDir == nil {
		return out.Err
	}
	for _, m := range report.DataDir.Members {
		printUndo(out, m.Renames, m.Aside)
	}
	out.Heading("Next")
	for _, step := range report.Next {
		out.Line("  %s", console.Printable(step))
	}
	return out.Err
}

func sizesOf(state string, i snapshot.Info) []string {
	return []string{
		state, humanize.Bytes(uint64(i.Size)), humanize.Bytes(uint64(i.SizeInUse)),
		strconv.FormatInt(i.Records, 10), strconv.FormatInt(i.LiveKeys, 10), strconv.FormatInt(max(0, i.CompactRevision), 10),
	}
}
