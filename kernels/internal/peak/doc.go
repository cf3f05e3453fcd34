// Package peak measures what the arithmetic units of this CPU can do at most:
// loops of multiply-adds on registers, without a load or a dependency that
// waits. Benchmarks divide by it to tell how good a kernel is.
package peak
