"""Registry alias → checked, compiled bundle → published role table. One loader per host; it alone writes bundles.

    specs     what MODELS asks for (pure)
    plan      which table to publish, when to try again, which bundles may go (pure)
    external  role changes that somebody else made (pure)
    shelf     bundles on disk: found, put there by atomic rename, thrown away
    builds    versions being fetched and compiled, in the background
    build     how one is: fetch → pin the digest → compile in a child
    loader    the steps of the loader's life
    figures   what it tells Prometheus

Whatever fails, what was published stays and goes on answering.
"""
