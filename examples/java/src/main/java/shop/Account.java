package shop;

/** Somebody who may log in. `id` is opaque: it is what tokens and spans carry, rather than a name. */
record Account(String id, String role, String customer) {}
