// Package bottest is what tests of the bot and of its parts are made of.
//
// [TestProvider] is the contract of a provider as a suite: every provider runs
// through it, with its own judge of who really has an access. [Provider] and
// [Store] are fakes for the tests of others. They are stricter than the real
// things: a caller who breaks the contract fails the test.
package bottest
