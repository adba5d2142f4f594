// Package nodeloss
package nodeloss
