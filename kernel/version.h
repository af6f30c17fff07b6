/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ICMPTAP_VERSION_H
#define ICMPTAP_VERSION_H

/* The workspace's version in Cargo.toml; a guest test compares them. */
#define ICMPTAP_VERSION	"0.1.0"

#endif /* ICMPTAP_VERSION_H */
