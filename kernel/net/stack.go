package net

// Stack is the TCP/IP stack of the kernel with its interfaces.
type Stack struct{}
