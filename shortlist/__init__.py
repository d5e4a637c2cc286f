"""The command line of Shortlist. Everything it does is a public function of one of the five rooms."""
