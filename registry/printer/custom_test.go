package printer_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/registry"
	"github.com/lifeboat-dr/lifeboat/registry/printer"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

const shipJSON = `{"apiVersion":"fleet.example.com/v1beta1","kind":"Ship",
	"metadata":{"name":"aurora","namespace":"sea","creationTimestamp":"2026-11-21T10:00:00Z"},
	"spec":{"tonnage":9007199254740993,"launched":"2026-11-20T12:00:00Z","motto":"one\ntwo","armed":false,"draught":4.5}}`

func harbourLikeResources() *registry.Resources {
	return registry.NewResources([]registry.CustomResource{shipDefinition("")})
}

func shipDefinition(conversion string) registry.CustomResource {
	return registry.CustomResource{
		Group: "fleet.example.com", Kind: "Ship", Plural: "ships", Namespaced: true, Conversion: conversion,
		Versions: []registry.CustomVersion{
			{Name: "v1beta1", Served: true, Storage: true},
			{Name: "v1", Served: true, Columns: []registry.CustomColumn{
				{Name: "Tonnage", Type: "integer", JSONPath: ".spec.tonnage"},
				{Name: "Launched", Type: "date", JSONPath: ".spec.launched"},
				{Name: "Launch day", Type: "string", JSONPath: ".spec.launched"},
				{Name: "Motto", Type: "string", JSONPath: ".spec.motto"},
				{Name: "Armed", Type: "boolean", JSONPath: ".spec.armed"},
				{Name: "Draught", Type: "number", JSONPath: ".spec.draught", Priority: 1},
				{Name: "Sunk", Type: "date", JSONPath: ".status.sunk"},
				{Name: "Age", Type: "date", JSONPath: ".metadata.creationTimestamp"},
			}},
			{Name: "v2", Served: false},
		},
	}
}

func object(t testing.TB, path, value string) *registry.Object {
	key, err := registry.ParseKey(registry.DefaultPrefix, path)
	require.NoError(t, err)
	o := registry.New(nil, registry.Options{}).Decode(t.Context(), registry.Entry{Key: key, KV: snapshot.KeyValue{Key: []byte(path), Value: []byte(value)}})
	return o
}

func show(t testing.TB, opts printer.Options, rows ...printer.Row) string {
	var b strings.Builder
	w := printer.NewWriter(&b, opts)
	for _, row := range rows {
		require.NoError(t, w.Write(row))
	}
	require.NoError(t, w.Flush())
	return b.String()
}

func TestCustomResourceShowsTheColumnsOfItsDefinition(t *testing.T) {
	t.Parallel()
	p := printer.New(harbourLikeResources(), time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC))
	o := object(t, "/registry/fleet.example.com/ships/sea/aurora", shipJSON)
	require.Equal(t, strings.TrimPrefix(`
NAMESPACE   NAME     TONNAGE            LAUNCHED   LAUNCH DAY             MOTTO    ARMED   DRAUGHT   SUNK   AGE
sea         aurora   9007199254740993   24h        2026-11-20T12:00:00Z   one...   false   4.5              120m
`, "\n"), show(t, printer.Options{Wide: true, Namespace: true}, p.Row(o)))
	require.NotContains(t, show(t, printer.Options{}, p.Row(o)), "DRAUGHT")
}

func TestCustomResourceWithoutColumns(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	broken := shipDefinition("")
	broken.Versions[1].Columns[1].JSONPath = ".spec[" // the API server keeps the columns before it
	for name, c := range map[string]struct {
		resources *registry.Resources
		want      string
	}{
		"no definition in the backup": {registry.NewResources(nil), "NAME     AGE\naurora   120m\n"},
		"no columns": {registry.NewResources([]registry.CustomResource{{
			Group: "fleet.example.com", Kind: "Ship", Plural: "ships", Namespaced: true,
			Versions: []registry.CustomVersion{{Name: "v1beta1", Served: true}},
		}}), "NAME     AGE\naurora   120m\n"},
		"a JSONPath that does not parse": {registry.NewResources([]registry.CustomResource{broken}), "aurora   9007199254740993"},
	} {
		o := object(t, "/registry/fleet.example.com/ships/sea/aurora", shipJSON)
		require.Contains(t, show(t, printer.Options{}, printer.New(c.resources, now).Row(o)), c.want, name)
	}
}

func TestCustomResourceIsAnsweredInItsHighestServedVersion(t *testing.T) {
	t.Parallel()
	unlisted := strings.Replace(shipJSON, "/v1beta1", "/v1alpha1", 1)
	for _, c := range []struct{ name, conversion, value, version, problem string }{
		{"None", "None", shipJSON, "v1", ""},
		{"unset", "", shipJSON, "v1", ""},
		{"already preferred", "Webhook", strings.Replace(shipJSON, "/v1beta1", "/v1", 1), "v1", ""},
		{"webhook", "Webhook", shipJSON, "v1beta1", `unconverted: fleet.example.com/v1beta1 is converted to v1 by a webhook`},
		{"unlisted", "None", unlisted, "v1alpha1", `unconverted: version "v1alpha1" is not in the definition of ships.fleet.example.com`},
	} {
		resources := registry.NewResources([]registry.CustomResource{shipDefinition(c.conversion)})
		o := object(t, "/registry/fleet.example.com/ships/sea/aurora", c.value)
		printer.NewConverter(resources).Preferred(o)
		content, err := o.Content()
		require.NoError(t, err)
		require.Equal(t, c.version, o.GVK.Version, c.name)
		require.Equal(t, "fleet.example.com/"+c.version, content["apiVersion"], c.name)
		require.Equal(t, int64(9007199254740993), content["spec"].(map[string]any)["tonnage"], c.name)
		if c.problem == "" {
			require.Empty(t, o.Problems, c.name)
		} else {
			require.Equal(t, c.problem, o.Problems[0].String(), c.name)
		}
	}
}
