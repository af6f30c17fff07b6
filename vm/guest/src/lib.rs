//! What the host and the guest's first process say to each other: the job,
//! which travels in the image, and the report, which comes back as JSON lines.
